(ns interop.declaring
  "Declaring and deleting queues and exchanges, and what is refused."
  (:require [clojure.string :as string]
            [interop.harness :refer [confirming connect consume equal exclusive-queue fill inbox next-of put refused
                                     refused-later unique]]
            [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.consumers :as consumers]
            [langohr.core :as rmq]
            [langohr.exchange :as exchange]
            [langohr.queue :as queue]))

(defn- server-named [connection]
  (let [ch     (channel/open connection)
        names  [(:queue (queue/declare ch)) (queue/declare-server-named ch) (queue/declare-server-named ch {:exclusive true})]]
    (equal (count (set names)) 3)
    (equal (every? #(string/starts-with? % "amq.gen-") names) true)))

(defn- counts [connection]
  (let [ch (confirming connection) name (exclusive-queue ch)]
    (fill ch name ["a" "b" "c"])
    (equal (queue/status ch name) {:message-count 3 :consumer-count 0})
    (equal (:message-count (queue/purge ch name)) 3)
    (equal (queue/empty? ch name) true)
    (fill ch name ["d"])
    (equal (queue/message-count ch name) 1)
    (consume ch name)
    (equal (queue/consumer-count ch name) 1)
    (equal (:message-count (queue/delete ch name)) 0)
    (equal (:message-count (queue/delete ch name)) 0)))

(defn- queue-passive [connection]
  (let [ch (channel/open connection) name (unique "missing")]
    (refused 404 (str "NOT_FOUND - no queue '" name "' in vhost '/'") #(queue/declare-passive ch name))
    (equal (rmq/open? ch) false)))

(defn- queue-inequivalent [connection]
  (let [name    (unique "declared")
        declare #(queue/declare (channel/open connection) name (merge {:auto-delete false} %))
        text    (fn [argument told]
                  (str "PRECONDITION_FAILED - inequivalent arg '" argument "' for queue '" name "' in vhost '/': " told))]
    (declare {:arguments {"x-max-length" 5}})
    (refused 406 (text "durable" "received 'true' but current is 'false'")
             #(declare {:durable true :arguments {"x-max-length" 5}}))
    (refused 406 (text "x-max-length" "received '6' but current is '5'") #(declare {:arguments {"x-max-length" 6}}))
    (refused 406 (text "x-max-length" "received none but current is the value '5' of type 'long'") #(declare {}))
    ;; Another integer width with the same value is equivalent.
    (declare {:arguments {"x-max-length" (int 5)}})
    (queue/delete (channel/open connection) name)))

(defn- argument-invalid [connection]
  (let [name (unique "bad")]
    (refused 406 (str "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '" name "' in vhost '/'")
             #(queue/declare (channel/open connection) name {:exclusive true :arguments {"x-message-ttl" "soon"}}))))

(defn- exclusive [connection]
  (let [name (exclusive-queue (channel/open connection))
        text (str "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '" name "' in vhost '/'")]
    (with-open [stranger (connect)]
      (refused 405 text #(queue/declare-passive (channel/open stranger) name))
      (refused 405 text #(basic/get (channel/open stranger) name)))))

(defn- reserved [connection]
  (refused 403 "ACCESS_REFUSED - queue name 'amq.interop' contains reserved prefix 'amq.*'"
           #(queue/declare (channel/open connection) "amq.interop"))
  (refused 403 "ACCESS_REFUSED - exchange name 'amq.interop' contains reserved prefix 'amq.*'"
           #(exchange/direct (channel/open connection) "amq.interop")))

(defn- delete-conditions [connection]
  (let [name (exclusive-queue (channel/open connection))]
    (fill (confirming connection) name ["x"])
    (refused 406 (str "PRECONDITION_FAILED - queue '" name "' in vhost '/' not empty")
             #(queue/delete (channel/open connection) name false true))
    (consume (channel/open connection) name)
    (refused 406 (str "PRECONDITION_FAILED - queue '" name "' in vhost '/' in use")
             #(queue/delete (channel/open connection) name true false))))

(defn- auto-delete [connection]
  (let [ch       (channel/open connection)
        name     (:queue (queue/declare ch (unique "auto")))
        answered (inbox)
        tag      (consumers/subscribe ch name (fn [& _]) {:handle-cancel-ok-fn #(put answered %)})]
    (basic/cancel ch tag)
    (equal (next-of answered "cancel-ok") tag)
    (refused 404 (str "NOT_FOUND - no queue '" name "'") #(queue/declare-passive ch name))))

(defn- exchange-passive [connection]
  (let [name (unique "missing")]
    (refused 404 (str "NOT_FOUND - no exchange '" name "' in vhost '/'")
             #(exchange/declare-passive (channel/open connection) name))))

(defn- exchange-inequivalent [connection]
  (let [name (unique "x")]
    (exchange/direct (channel/open connection) name)
    (refused 406 (str "PRECONDITION_FAILED - inequivalent arg 'type' for exchange '" name
                      "' in vhost '/': received 'fanout' but current is 'direct'")
             #(exchange/fanout (channel/open connection) name))
    (exchange/delete (channel/open connection) name)))

(defn- publish-missing [connection]
  (let [ch (channel/open connection) name (unique "missing")]
    (refused-later ch 404 (str "NOT_FOUND - no exchange '" name "' in vhost '/'") #(basic/publish ch name "k" "lost"))))

(defn- isolated [connection]
  (let [healthy (channel/open connection)
        name    (exclusive-queue healthy)
        failing (channel/open connection)]
    (refused 404 "NOT_FOUND" #(queue/declare-passive failing (unique "missing")))
    (equal (map rmq/open? [healthy failing]) [true false])
    (queue/declare-passive healthy name)
    (queue/declare-passive (channel/open connection) name)))

(def checks
  [["queue-server-named" server-named]
   ["queue-counts" counts]
   ["queue-passive-404" queue-passive]
   ["queue-inequivalent-406" queue-inequivalent]
   ["queue-argument-invalid-406" argument-invalid]
   ["queue-exclusive-405" exclusive]
   ["queue-reserved-403" reserved]
   ["queue-delete-conditions" delete-conditions]
   ["queue-auto-delete" auto-delete]
   ["exchange-passive-404" exchange-passive]
   ["exchange-inequivalent-406" exchange-inequivalent]
   ["publish-missing-exchange-404" publish-missing]
   ["channel-error-isolated" isolated]])
