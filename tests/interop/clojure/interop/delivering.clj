(ns interop.delivering
  "Consuming: prefetch, acknowledgement, redelivery, cancellation, priorities."
  (:require [clojure.string :as string]
            [interop.harness :refer [confirming consume drain equal exclusive-queue fill inbox next-of pending put refused
                                     refused-later take-from text]]
            [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.consumers :as consumers]
            [langohr.core :as rmq]
            [langohr.queue :as queue]))

(def ^:private digits (map str (range 10)))

(defn- prefetch [connection]
  (let [ch (confirming connection) name (exclusive-queue ch)]
    (fill ch name digits)
    (basic/qos ch 3)
    (let [box (consume ch name) [_ second-one] (take-from box 3)]
      ;; What is no longer ready has been delivered, so this is exact.
      (equal (queue/message-count ch name) 7)
      (basic/ack ch (:tag second-one) true)
      (equal (map :body (take-from box 2)) ["3" "4"])
      (equal (queue/message-count ch name) 5))))

(defn- prefetch-shared [connection]
  (let [ch (confirming connection) name (exclusive-queue ch) box (inbox)]
    (fill ch name digits)
    (basic/qos ch 0 3 true)
    (dotimes [_ 2] (consumers/subscribe ch name (fn [_ metadata _] (put box metadata))))
    (take-from box 3)
    (equal (queue/message-count ch name) 7)))

(defn- ack [connection]
  (let [ch (confirming connection) name (exclusive-queue ch)]
    (fill ch name ["a" "b"])
    (let [[first-one] (take-from (consume ch name) 2)]
      (basic/ack ch (:tag first-one)))
    (rmq/close ch)
    (let [other (channel/open connection) [metadata body] (basic/get other name)]
      (equal [(text body) (:redelivery? metadata)] ["b" true])
      (equal (basic/get other name) nil))))

(defn- ack-unless-exception [connection]
  (let [ch (confirming connection) name (exclusive-queue ch) seen (inbox) ended (inbox)]
    (fill ch name ["a" "b"])
    (let [f   (consumers/ack-unless-exception (fn [_ _ body] (put seen (text body))))
          tag (consumers/subscribe ch name f {:handle-cancel-ok-fn #(put ended %)})]
      (equal (take-from seen 2) ["a" "b"])
      (basic/cancel ch tag)
      ;; Its calls come in order: by now both deliveries are dealt with, acks included.
      (next-of ended "cancel-ok"))
    (rmq/close ch)
    (equal (queue/message-count (channel/open connection) name) 0)))

(defn- nack [connection]
  (let [ch (confirming connection) name (exclusive-queue ch)]
    (fill ch name ["one" "two" "three"])
    (let [box (consume ch name) held (take-from box 3)]
      (equal (map :redelivered held) [false false false])
      (basic/nack ch (:tag (last held)) true true)
      (let [again (take-from box 3)]
        (equal (map :body again) ["one" "two" "three"])
        (equal (map :redelivered again) [true true true])))))

(defn- death [delivery]
  (let [entry (first (get (:headers (:meta delivery)) "x-death"))]
    {:reason (str (get entry "reason")) :queue (str (get entry "queue")) :count (get entry "count")}))

(defn- dead-lettering [ch grave more]
  (exclusive-queue ch (merge {"x-dead-letter-exchange" "" "x-dead-letter-routing-key" grave} more)))

(defn- reject [connection]
  (let [ch (confirming connection) grave (exclusive-queue ch) name (dead-lettering ch grave {})]
    (fill ch name ["bad"])
    (let [box (consume ch grave {:auto-ack true}) [metadata _] (basic/get ch name false)]
      (basic/reject ch (:delivery-tag metadata))
      (equal (death (first (take-from box 1))) {:reason "rejected" :queue name :count 1}))))

(defn- ttl [connection]
  (let [ch    (channel/open connection)
        grave (exclusive-queue ch)
        name  (dead-lettering ch grave {"x-message-ttl" 50})
        box   (consume ch grave {:auto-ack true})]
    (basic/publish ch "" name "late")
    (equal (:reason (death (first (take-from box 1)))) "expired")))

(defn- recover [connection]
  (let [ch (confirming connection) name (exclusive-queue ch)]
    (fill ch name ["again"])
    (let [box (consume ch name)]
      (take-from box 1)
      (basic/recover ch true)
      (equal (map :redelivered (take-from box 1)) [true]))))

(defn- ack-unknown [connection]
  (let [ch (channel/open connection)]
    (refused-later ch 406 "PRECONDITION_FAILED - unknown delivery tag 42" #(basic/ack ch 42))))

(defn- fetch [connection]
  (let [ch (confirming connection) name (exclusive-queue ch)]
    (fill ch name ["a" "b"])
    (let [[metadata body] (basic/get ch name false)]
      (equal [(text body) (:message-count metadata) (:exchange metadata) (:routing-key metadata)] ["a" 1 "" name])
      (basic/ack ch (:delivery-tag metadata)))
    (equal (drain ch name) ["b"])))

(defn- no-ack [connection]
  (let [ch (confirming connection) name (exclusive-queue ch)]
    (fill ch name ["a" "b" "c"])
    (equal (map :body (take-from (consume ch name {:auto-ack true}) 3)) ["a" "b" "c"])
    (rmq/close ch)
    (equal (queue/message-count (channel/open connection) name) 0)))

(defn- exclusive [connection]
  (let [ch (channel/open connection) name (exclusive-queue ch)]
    (consume ch name {:exclusive true})
    (refused 403 (str "ACCESS_REFUSED - queue '" name "' in vhost '/' in exclusive use")
             #(consume (channel/open connection) name))))

(defn- cancelled-on-delete [connection]
  (let [ch (channel/open connection) name (exclusive-queue ch) cancelled (inbox)]
    (consumers/subscribe ch name (fn [& _]) {:consumer-tag "watching" :handle-cancel-fn #(put cancelled %)})
    (queue/delete (channel/open connection) name)
    (equal (next-of cancelled "basic.cancel") "watching")
    ;; The channel outlives its consumer.
    (exclusive-queue ch)))

(defn- cancel-stops [connection]
  (let [ch (confirming connection) name (exclusive-queue ch) box (inbox) started (inbox)
        tag (consumers/subscribe ch name (fn [_ metadata _] (put box metadata)) {:handle-consume-ok-fn #(put started %)})]
    (equal (next-of started "consume-ok") tag)
    (equal (string/starts-with? tag "amq.ctag-") true)
    (basic/cancel ch tag)
    (fill ch name ["kept"])
    (equal (drain ch name) ["kept"])
    (equal (pending box) 0)))

(defn- consumer-priority [connection]
  (let [sender (confirming connection)
        low    (channel/open connection)
        high   (channel/open connection)
        name   (exclusive-queue sender)]
    (basic/qos high 2)
    (let [second-box (consume low name {:arguments {"x-priority" 1}})
          first-box  (consume high name {:arguments {"x-priority" 10}})]
      (fill sender name ["0" "1" "2" "3"])
      (equal (map :body (take-from first-box 2)) ["0" "1"])
      (equal (map :body (take-from second-box 2)) ["2" "3"]))))

(defn- rpc [connection]
  (let [server   (channel/open connection)
        client   (channel/open connection)
        requests (exclusive-queue server)
        replies  (consume client "amq.rabbitmq.reply-to" {:auto-ack true})]
    (consumers/subscribe server requests
                         (fn [ch {:keys [reply-to correlation-id]} body]
                           (basic/publish ch "" reply-to (str (* 2 (parse-long (text body)))) {:correlation-id correlation-id}))
                         {:auto-ack true})
    (doseq [[id value] [["c1" "21"] ["c2" "4"]]]
      (basic/publish client "" requests value {:reply-to "amq.rabbitmq.reply-to" :correlation-id id}))
    (equal (map (juxt :body (comp :correlation-id :meta)) (take-from replies 2)) [["42" "c1"] ["8" "c2"]])))

(defn- order [connection]
  (let [ch (channel/open connection) name (exclusive-queue ch) box (consume ch name {:auto-ack true}) sent (map str (range 2000))]
    (doseq [body sent] (basic/publish ch "" name body))
    (equal (map :body (take-from box 2000)) sent)))

(def checks
  [["prefetch-exact" prefetch]
   ["prefetch-shared" prefetch-shared]
   ["ack-settles" ack]
   ["ack-unless-exception" ack-unless-exception]
   ["nack-requeue-redelivered" nack]
   ["reject-dead-letters" reject]
   ["ttl-dead-letters" ttl]
   ["recover-redelivers" recover]
   ["ack-unknown-406" ack-unknown]
   ["get-and-empty" fetch]
   ["consume-no-ack" no-ack]
   ["consume-exclusive-403" exclusive]
   ["consumer-cancelled-on-delete" cancelled-on-delete]
   ["consumer-cancel-stops" cancel-stops]
   ["consumer-priority" consumer-priority]
   ["rpc-direct-reply-to" rpc]
   ["order-kept" order]])
