(ns publish-subscribe
  "Publish and subscribe: a fanout exchange copies each message into every queue bound to it."
  (:require [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.consumers :as consumers]
            [langohr.core :as rmq]
            [langohr.exchange :as exchange]
            [langohr.queue :as queue])
  (:import (java.util.concurrent CountDownLatch)))

(def uri (or (System/getenv "AMQP_URL") "amqp://guest:guest@localhost:5672/%2f"))
(def exchange-name (str "example.news." (random-uuid)))
(def news ["spring is here" "the clover is up"])

(defn subscribe
  "A subscriber's own queue. What was published before it was bound is not for it."
  [connection reader ^CountDownLatch unread]
  (let [ch         (channel/open connection)
        queue-name (queue/declare-server-named ch {:exclusive true})]
    (queue/bind ch queue-name exchange-name)
    (consumers/subscribe ch queue-name
                         (fn [_ _ ^bytes body]
                           ;; Each channel has a thread of its own; one line at a time.
                           (locking *out* (println (str reader ": " (String. body "UTF-8"))))
                           (.countDown unread))
                         {:auto-ack true})))

(defn -main []
  (let [connection (rmq/connect {:uri uri})
        ch         (channel/open connection)
        unread     (CountDownLatch. (* 2 (count news)))]
    (exchange/fanout ch exchange-name {:auto-delete true})
    (run! #(subscribe connection % unread) ["Anna" "Boris"])
    ;; The publisher names the exchange only: it need not know who listens.
    (run! #(basic/publish ch exchange-name "" %) news)
    (.await unread)
    (rmq/close connection)
    (shutdown-agents)))
