(ns interop.harness
  "Runs checks one after another, each under its own time limit, prints one line
   per check, and holds what the check namespaces share."
  (:require [clojure.string :as string]
            [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.confirm :as confirm]
            [langohr.consumers :as consumers]
            [langohr.core :as rmq]
            [langohr.queue :as queue])
  (:import (com.rabbitmq.client AMQP$Channel$Close AMQP$Connection$Close ShutdownSignalException)
           (java.util UUID)
           (java.util.concurrent LinkedBlockingQueue TimeUnit)))

(def uri (System/getenv "AMQP_URL"))
(def ^:private check-ms 15000)
(def ^:private wait-ms 5000)
(def ^:private run-id (UUID/randomUUID))
(def ^:private serial (atom 0))

(defn connect
  ([] (connect {}))
  ([options] (rmq/connect (merge {:uri uri :automatically-recover false} options))))

(defn- failure
  "Why the check failed, or nil; each has a connection of its own."
  [body]
  (try
    (with-open [connection (connect)]
      (let [result (deref (future (try (body connection) nil (catch Throwable caught caught))) check-ms ::late)]
        (cond
          (= ::late result) "timed out"
          result (string/replace (str (or (ex-message result) result)) "\n" " "))))
    (catch Exception caught (str caught))))

(defn run
  "Runs [name body] pairs; true when every check passed."
  [checks]
  (let [results (doall (for [[check-name body] checks
                             :let [why (failure body)]]
                         (do (println (if why (str "not ok " check-name ": " why) (str "ok " check-name)))
                             (nil? why))))]
    (println (str "checks: " (count results)))
    (every? true? results)))

(defn equal [got want]
  (when (not= got want) (throw (ex-info (str "got " (pr-str got) ", want " (pr-str want)) {}))))

(defn unique
  "A name no other run uses."
  [what]
  (str "interop.clj-" run-id "." what "." (swap! serial inc)))

(defn inbox [] (LinkedBlockingQueue.))

(defn put [^LinkedBlockingQueue box value] (.put box value))

(defn pending [^LinkedBlockingQueue box] (.size box))

(defn next-of
  "Takes the next value from the box, or fails after the time limit."
  [^LinkedBlockingQueue box what]
  (let [value (.poll box wait-ms TimeUnit/MILLISECONDS)]
    (when (nil? value) (throw (ex-info (str "timed out: " what) {})))
    value))

(defn take-from [box n] (mapv #(next-of box (str "delivery " (inc %) " of " n)) (range n)))

(defn text [^bytes body] (String. body "UTF-8"))

(defn confirming [connection]
  (doto (channel/open connection) (confirm/select)))

(defn exclusive-queue
  ([ch] (exclusive-queue ch nil))
  ([ch arguments]
   (:queue (queue/declare ch (unique "q") {:exclusive true :auto-delete false :arguments arguments}))))

(defn confirmed
  "Publishes on a confirm channel and waits; true when the broker took it."
  ([ch exchange routing-key body] (confirmed ch exchange routing-key body {}))
  ([ch exchange routing-key body options]
   (basic/publish ch exchange routing-key body options)
   (confirm/wait-for-confirms ch wait-ms)))

(defn fill [ch queue-name bodies]
  (doseq [body bodies] (basic/publish ch "" queue-name body))
  (equal (confirm/wait-for-confirms ch wait-ms) true))

(defn drain
  "Bodies of all the queue holds, fetched with basic.get."
  [ch queue-name]
  (loop [bodies []]
    (if-let [[_ body] (basic/get ch queue-name)]
      (recur (conj bodies (text body)))
      bodies)))

(defn consume
  "Subscribes and returns the box that gets {:tag :redelivered :body :meta} maps."
  ([ch queue-name] (consume ch queue-name {}))
  ([ch queue-name options]
   (let [box (inbox)]
     (consumers/subscribe ch queue-name
                          (fn [_ metadata body]
                            (put box {:tag         (:delivery-tag metadata)
                                      :redelivered (:redelivery? metadata)
                                      :body        (text body)
                                      :meta        metadata}))
                          options)
     box)))

(defn- close-method [caught]
  (->> (iterate ex-cause caught)
       (take-while some?)
       (some #(when (instance? ShutdownSignalException %) (.getReason ^ShutdownSignalException %)))))

(defn refusal
  "Checks the close method carried by the exception or one of its causes."
  [caught code part]
  (let [reason (close-method caught)
        [got told] (condp instance? reason
                     AMQP$Channel$Close [(.getReplyCode ^AMQP$Channel$Close reason) (.getReplyText ^AMQP$Channel$Close reason)]
                     AMQP$Connection$Close [(.getReplyCode ^AMQP$Connection$Close reason)
                                            (.getReplyText ^AMQP$Connection$Close reason)]
                     [nil (str caught)])]
    (when-not (and (= got code) (string/includes? told part))
      (throw (ex-info (str "expected " code " " part ", got " got " " told) {})))))

(defn refused
  "Expects the function to be refused with this code and text."
  [code part f]
  (let [caught (try (f) nil (catch Exception caught caught))]
    (when-not caught (throw (ex-info (str "expected " code ", but it succeeded") {})))
    (refusal caught code part)))

(defn refused-later
  "Expects the channel to be closed for what the function sent on it."
  [ch code part f]
  (let [box (inbox)]
    (rmq/add-shutdown-listener ch #(put box %))
    (f)
    (refusal (next-of box "channel close") code part)))
