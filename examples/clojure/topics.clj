(ns topics
  "Topic routing: keys are words between dots; '*' in a binding stands for one word, '#' for any number."
  (:require [clojure.string :as string]
            [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.confirm :as confirm]
            [langohr.core :as rmq]
            [langohr.exchange :as exchange]
            [langohr.queue :as queue]))

(def uri (or (System/getenv "AMQP_URL") "amqp://guest:guest@localhost:5672/%2f"))
(def exchange-name (str "example.logs." (random-uuid)))

(defn bound-queue [ch pattern]
  (let [queue-name (queue/declare-server-named ch {:exclusive true})]
    (queue/bind ch queue-name exchange-name {:routing-key pattern})
    queue-name))

(defn messages
  "Empties the queue; each message is its metadata and its body."
  [ch queue-name]
  (take-while some? (repeatedly #(basic/get ch queue-name))))

(defn -main []
  (let [connection (rmq/connect {:uri uri})
        ch         (channel/open connection)]
    (exchange/topic ch exchange-name {:auto-delete true})
    (let [patterns ["kitchen.#" "*.*.error" "garden.#" "#"]
          queues   (mapv #(bound-queue ch %) patterns)]
      ;; Confirms tell when all messages are in their queues.
      (confirm/select ch)
      (doseq [k ["kitchen.oven.error" "kitchen.lamp.info" "garden.pump.error" "garden"]]
        (basic/publish ch exchange-name k "something happened"))
      (confirm/wait-for-confirms-or-die ch)
      (doseq [[pattern queue-name] (map vector patterns queues)]
        (println (format "%-10s gets %s" pattern
                         (string/join ", " (map (comp :routing-key first) (messages ch queue-name)))))))
    (rmq/close connection)
    (shutdown-agents)))
