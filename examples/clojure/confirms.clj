(ns confirms
  "Publisher confirms: knowing that the broker has taken a message, could not route it, or refused it."
  (:require [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.confirm :as confirm]
            [langohr.core :as rmq]
            [langohr.queue :as queue]))

(def uri (or (System/getenv "AMQP_URL") "amqp://guest:guest@localhost:5672/%2f"))

(defn publish
  "Waits for the broker's answer. 'mandatory' asks for messages back that no queue would get."
  [ch routing-key text]
  (basic/publish ch "" routing-key text {:mandatory true})
  (confirm/wait-for-confirms ch))

(defn -main []
  (let [connection (rmq/connect {:uri uri})
        ch         (channel/open connection)
        returned   (promise)
        ;; A queue for two messages that refuses more, instead of dropping the oldest.
        queue-name (queue/declare-server-named ch {:exclusive true
                                                   :arguments {"x-max-length" 2 "x-overflow" "reject-publish"}})]
    (confirm/select ch)
    (basic/add-return-listener ch (fn [_ reply-text _ _ _ _] (deliver returned reply-text)))
    (doseq [text ["first" "second" "third"]]
      (println (str text ": " (if (publish ch queue-name text) "confirmed" "refused, the queue is full"))))
    ;; No queue gets this one. A return comes before its confirm.
    (publish ch (str queue-name ".misspelt") "fourth")
    (println (str "fourth: returned, " @returned))
    (rmq/close connection)
    (shutdown-agents)))
