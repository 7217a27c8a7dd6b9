(ns work-queue
  "A work queue: tasks wait in one queue, and idle workers take them one at a time.

   Each worker holds at most one task that it has not acknowledged (prefetch 1), so a slow task does
   not keep quick ones waiting behind it. A task is acknowledged when it is done: had its worker died
   before that, the broker would give the task to another one."
  (:require [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.consumers :as consumers]
            [langohr.core :as rmq]
            [langohr.queue :as queue])
  (:import (java.util.concurrent CountDownLatch)))

(def uri (or (System/getenv "AMQP_URL") "amqp://guest:guest@localhost:5672/%2f"))
(def queue-name (str "example.tasks." (random-uuid)))
(def tasks ["0.3" "0.05" "0.05" "0.05" "0.05" "0.05"])

(defn start-worker
  "The client library calls each channel's consumers on a thread of its own."
  [connection worker ^CountDownLatch open]
  (let [ch (channel/open connection)]
    (basic/qos ch 1)
    (consumers/subscribe ch queue-name
                         (fn [ch {:keys [delivery-tag]} ^bytes body]
                           (let [seconds (String. body "UTF-8")]
                             (Thread/sleep (long (* 1000 (parse-double seconds))))
                             (basic/ack ch delivery-tag)
                             (locking *out* (println (str worker " has done " seconds " s of work")))
                             (.countDown open))))
    ch))

(defn -main []
  (let [connection (rmq/connect {:uri uri})
        ch         (channel/open connection)
        open       (CountDownLatch. (count tasks))]
    (queue/declare ch queue-name {:durable true :auto-delete false})
    (let [workers (mapv #(start-worker connection % open) ["worker 1" "worker 2"])]
      (doseq [seconds tasks]
        ;; Persistent messages in a durable queue also survive a restart of the broker.
        (basic/publish ch "" queue-name seconds {:persistent true}))
      (.await open)
      (run! rmq/close workers))
    (queue/delete ch queue-name)
    (rmq/close connection)
    (shutdown-agents)))
