(ns interop.connecting
  "Opening, refusing, keeping alive, losing and closing connections."
  (:require [interop.harness :refer [confirming connect consume drain equal exclusive-queue fill inbox next-of put refused
                                     take-from unique uri]]
            [interop.relay :as relay]
            [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.core :as rmq]
            [langohr.exchange :as exchange]
            [langohr.queue :as queue])
  (:import (com.rabbitmq.client AuthenticationFailureException Connection ShutdownSignalException)
           (java.util.concurrent LinkedBlockingQueue TimeUnit)))

(defn- announces [^Connection connection]
  (let [properties (.getServerProperties connection)]
    (equal (str (get properties "product")) "RabbitMQ")
    (equal (some? (re-find #"^\d+\.\d+" (str (get properties "version")))) true))
  (equal (select-keys (rmq/capabilities-of connection)
                      [:publisher_confirms :exchange_exchange_bindings :basic.nack :consumer_cancel_notify :connection.blocked
                       :consumer_priorities :authentication_failure_close :per_consumer_qos :direct_reply_to])
         {:publisher_confirms true :exchange_exchange_bindings true :basic.nack true :consumer_cancel_notify true
          :connection.blocked true :consumer_priorities true :authentication_failure_close true :per_consumer_qos true
          :direct_reply_to true}))

(defn- login-refused [_]
  (let [told (try (connect {:password "not-the-password"}) nil
                  (catch AuthenticationFailureException refusal (ex-message refusal)))]
    (equal (re-find #"ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN\." (str told))
           "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.")))

(defn- vhost-unknown [_]
  (refused 530 "NOT_ALLOWED - vhost no-such-vhost not found" #(connect {:vhost "no-such-vhost"})))

(defn- channels-independent [connection]
  (let [channels (vec (repeatedly 50 #(channel/open connection)))]
    (rmq/close (channels 7))
    (equal (mapv rmq/open? [(channels 6) (channels 7)]) [true false])
    (equal (count (set (map queue/declare-server-named (remove rmq/closed? channels)))) 49)))

(defn- heartbeat-idle [_]
  (with-open [connection (connect {:requested-heartbeat 1})]
    (let [^LinkedBlockingQueue lost (inbox)]
      (rmq/add-shutdown-listener connection #(put lost %))
      ;; The time itself is what is tested: both sides must keep the link alive.
      (equal (.poll lost 5 TimeUnit/SECONDS) nil)
      (exclusive-queue (channel/open connection)))))

(defn- recovering
  "Connects through a relay and calls f with the connection and a function that cuts the network and waits for recovery."
  [f]
  (let [{:keys [host port]} (rmq/settings-from uri)]
    (relay/with-relay
      host port
      (fn [relay]
        (with-open [connection (connect {:hosts                  ["127.0.0.1"]
                                         :port                   (:port relay)
                                         :automatically-recover  true
                                         :network-recovery-delay 100})]
          (let [recovered (inbox)]
            (rmq/on-recovery connection #(put recovered %))
            (f connection #(do (relay/cut relay) (next-of recovered "recovery")))))))))

(defn- recovery-of-consumer [_]
  (recovering
   (fn [connection cut-and-recover]
     (let [ch     (channel/open connection)
           source (unique "x")
           name   (exclusive-queue ch)]
       (exchange/topic ch source {:auto-delete true})
       (queue/bind ch name source {:routing-key "a.#"})
       (let [box (consume ch name {:auto-ack true})]
         (basic/publish ch source "a.b" "before")
         (equal (map :body (take-from box 1)) ["before"])
         (cut-and-recover)
         (basic/publish ch source "a.c" "after")
         (equal (map :body (take-from box 1)) ["after"]))))))

(defn- recovery-of-server-name [_]
  (recovering
   (fn [connection cut-and-recover]
     (let [ch      (channel/open connection)
           before  (queue/declare-server-named ch {:exclusive true})
           renamed (inbox)
           box     (consume ch before {:auto-ack true})]
       (rmq/on-queue-recovery connection (fn [from to] (put renamed [from to])))
       (cut-and-recover)
       (let [[from to] (next-of renamed "queue recovery")]
         (equal [from (= from to)] [before false])
         (basic/publish ch "" to "found")
         (equal (map :body (take-from box 1)) ["found"]))))))

(defn- reconnect-after-close [_]
  (let [name (unique "handed-over")]
    (doseq [body ["first" "second"]]
      (with-open [connection (connect)]
        (let [ch (confirming connection)]
          ;; Exclusive queues go with their connection, so the name is free again.
          (equal (:message-count (queue/declare ch name {:exclusive true})) 0)
          (fill ch name [body])
          (equal (drain ch name) [body]))))))

(defn- close-clean [_]
  (let [connection (connect)
        closed     (inbox)]
    (rmq/add-shutdown-listener connection #(put closed %))
    (channel/close (channel/open connection))
    (rmq/close connection)
    (equal (.isInitiatedByApplication ^ShutdownSignalException (next-of closed "shutdown")) true)
    (equal (rmq/closed? connection) true)))

(def checks
  [["connect-announces-server" announces]
   ["login-refused" login-refused]
   ["vhost-unknown" vhost-unknown]
   ["channels-independent" channels-independent]
   ["heartbeat-idle" heartbeat-idle]
   ["recovery-of-consumer" recovery-of-consumer]
   ["recovery-of-server-name" recovery-of-server-name]
   ["reconnect-after-close" reconnect-after-close]
   ["close-clean" close-clean]])
