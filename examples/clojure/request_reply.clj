(ns request-reply
  "Request and reply by direct reply-to: answers come straight to the asking channel, without a queue.

   The client consumes from the pseudo-queue 'amq.rabbitmq.reply-to' and names it as reply-to in its
   requests; the broker replaces that by an address that leads back to this channel alone."
  (:require [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.consumers :as consumers]
            [langohr.core :as rmq]
            [langohr.queue :as queue]))

(def uri (or (System/getenv "AMQP_URL") "amqp://guest:guest@localhost:5672/%2f"))
(def queue-name (str "example.squares." (random-uuid)))
(def reply-queue "amq.rabbitmq.reply-to")

(defn text [^bytes body] (String. body "UTF-8"))

(defn answer [ch {:keys [reply-to correlation-id]} body]
  (let [number (parse-long (text body))]
    ;; The correlation id goes back unchanged: it tells the client which answer this is.
    (basic/publish ch "" reply-to (str (* number number)) {:correlation-id correlation-id})))

(defn serve [connection]
  (let [ch (channel/open connection)]
    (queue/declare ch queue-name {:auto-delete true})
    (consumers/subscribe ch queue-name (consumers/ack-unless-exception answer))))

(defn ask [connection numbers]
  (let [ch      (channel/open connection)
        waiting (into {} (map (fn [number] [(str number) (promise)])) numbers)]
    ;; Consume first, without acknowledgements, and then publish on the very same channel.
    (consumers/subscribe ch reply-queue
                         (fn [_ {:keys [correlation-id]} body] (deliver (waiting correlation-id) (text body)))
                         {:auto-ack true})
    (doseq [number numbers]
      (basic/publish ch "" queue-name (str number) {:reply-to reply-queue :correlation-id (str number)}))
    (doseq [number numbers]
      (println (str number " squared is " @(waiting (str number)))))))

(defn -main []
  (let [serving (rmq/connect {:uri uri})
        asking  (rmq/connect {:uri uri})]
    (serve serving)
    (ask asking (range 5))
    (run! rmq/close [asking serving])
    (shutdown-agents)))
