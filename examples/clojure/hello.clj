(ns hello
  "The smallest exchange of a message: into a queue by its name, and out again."
  (:require [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.consumers :as consumers]
            [langohr.core :as rmq]
            [langohr.queue :as queue]))

(def uri (or (System/getenv "AMQP_URL") "amqp://guest:guest@localhost:5672/%2f"))

(defn -main []
  (let [connection (rmq/connect {:uri uri})
        ch         (channel/open connection)
        ;; The broker chooses the name; 'exclusive' removes the queue with this connection.
        queue-name (queue/declare-server-named ch {:exclusive true})
        received   (promise)]
    (consumers/subscribe ch queue-name (fn [_ _ ^bytes body] (deliver received (String. body "UTF-8"))) {:auto-ack true})
    ;; The default exchange, "", takes the routing key for a queue's name.
    (basic/publish ch "" queue-name "Hello, hare!")
    (println "received:" @received)
    (rmq/close connection)
    (shutdown-agents)))
