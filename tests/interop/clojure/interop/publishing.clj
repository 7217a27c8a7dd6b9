(ns interop.publishing
  "Confirms, returned messages and transactions."
  (:require [interop.harness :refer [confirmed confirming consume drain equal exclusive-queue fill inbox next-of put refused
                                     take-from text unique]]
            [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.confirm :as confirm]
            [langohr.core :as rmq]
            [langohr.queue :as queue]
            [langohr.tx :as tx])
  (:import (com.rabbitmq.client AMQP$BasicProperties)))

(defn- confirm-single [connection]
  (let [ch (confirming connection) name (exclusive-queue ch)]
    (basic/publish ch "" name "sure" {:persistent true})
    (confirm/wait-for-confirms-or-die ch 5000)
    (equal (drain ch name) ["sure"])))

(defn- confirm-many [connection]
  (let [ch     (channel/open connection)
        events (inbox)
        name   (exclusive-queue ch)]
    (confirm/select ch
                    (fn [delivery-tag multiple] (put events [:ack delivery-tag multiple]))
                    (fn [delivery-tag multiple] (put events [:nack delivery-tag multiple])))
    (dotimes [n 500] (basic/publish ch "" name (str n)))
    ;; Each event settles one tag, or all up to it.
    (loop [open (set (range 1 501))]
      (when (seq open)
        (let [[kind delivery-tag multiple] (next-of events "confirm")]
          (equal kind :ack)
          (recur (if multiple (set (remove #(<= % delivery-tag) open)) (disj open delivery-tag))))))
    (equal (queue/message-count ch name) 500)))

(defn- confirm-nack [connection]
  (let [ch (confirming connection) name (exclusive-queue ch {"x-max-length" 1 "x-overflow" "reject-publish"})]
    (equal (confirmed ch "" name "fits") true)
    (equal (confirmed ch "" name "too much") false)
    (equal (drain ch name) ["fits"])))

(defn- mandatory [connection]
  (let [ch (channel/open connection) events (inbox) k (unique "nowhere")]
    (confirm/select ch (fn [& _] (put events :ack)) (fn [& _] (put events :nack)))
    (basic/add-return-listener ch (fn [code told exchange routing-key ^AMQP$BasicProperties properties body]
                                    (put events [code told exchange routing-key (.getMessageId properties) (text body)])))
    (basic/publish ch "amq.direct" k "back" {:mandatory true :message-id "m-1"})
    (equal (next-of events "return") [312 "NO_ROUTE" "amq.direct" k "m-1" "back"])
    (equal (next-of events "confirm") :ack)))

(defn- transaction [connection]
  (let [ch (channel/open connection) name (exclusive-queue ch)]
    (tx/select ch)
    (basic/publish ch "" name "dropped")
    (tx/rollback ch)
    (basic/publish ch "" name "kept")
    (equal (queue/message-count (channel/open connection) name) 0)
    (tx/commit ch)
    (equal (drain (channel/open connection) name) ["kept"])))

(defn- tx-acknowledgement [connection]
  (let [filler (confirming connection) name (exclusive-queue filler) ch (channel/open connection)]
    (fill filler name ["settled" "open"])
    (tx/select ch)
    (let [[settled open] (take-from (consume ch name) 2)]
      (basic/ack ch (:tag settled))
      (tx/commit ch)
      (basic/ack ch (:tag open))
      (tx/rollback ch))
    (rmq/close ch)
    (equal (drain (channel/open connection) name) ["open"])))

(defn- tx-on-confirm [connection]
  (refused 406 "PRECONDITION_FAILED - cannot switch from confirm to tx mode" #(tx/select (confirming connection))))

(def checks
  [["confirm-single" confirm-single]
   ["confirm-many" confirm-many]
   ["confirm-nack-when-full" confirm-nack]
   ["mandatory-return" mandatory]
   ["tx-commit-rollback" transaction]
   ["tx-acknowledgement" tx-acknowledgement]
   ["tx-on-confirm-channel-406" tx-on-confirm]])
