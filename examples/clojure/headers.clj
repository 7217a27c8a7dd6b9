(ns headers
  "Headers routing: bindings compare header values; 'x-match' says whether all or any must agree."
  (:require [clojure.string :as string]
            [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.confirm :as confirm]
            [langohr.core :as rmq]
            [langohr.exchange :as exchange]
            [langohr.queue :as queue]))

(def uri (or (System/getenv "AMQP_URL") "amqp://guest:guest@localhost:5672/%2f"))
(def exchange-name (str "example.documents." (random-uuid)))
(def bindings
  [["colour and A4" {"x-match" "all" "colour" true "format" "A4"}]
   ["colour or A4" {"x-match" "any" "colour" true "format" "A4"}]])
(def documents
  [["poster" {"colour" true "format" "A1"}]
   ["letter" {"colour" false "format" "A4"}]
   ["photo" {"colour" true "format" "A4" "pages" 1}]
   ["receipt" {"colour" false "format" "A7"}]])

(defn bound-queue [ch values]
  (let [queue-name (queue/declare-server-named ch {:exclusive true})]
    (queue/bind ch queue-name exchange-name {:arguments values})
    queue-name))

(defn bodies
  "Empties the queue."
  [ch queue-name]
  (map (fn [[_ ^bytes body]] (String. body "UTF-8")) (take-while some? (repeatedly #(basic/get ch queue-name)))))

(defn -main []
  (let [connection (rmq/connect {:uri uri})
        ch         (channel/open connection)]
    (exchange/declare ch exchange-name "headers" {:auto-delete true})
    (let [queues (mapv (fn [[_ values]] (bound-queue ch values)) bindings)]
      ;; Confirms tell when all messages are in their queues.
      (confirm/select ch)
      (doseq [[document values] documents]
        ;; The routing key plays no part here.
        (basic/publish ch exchange-name "" document {:headers values}))
      (confirm/wait-for-confirms-or-die ch)
      (doseq [[[title _] queue-name] (map vector bindings queues)]
        (println (str title ": " (string/join ", " (bodies ch queue-name))))))
    (rmq/close connection)
    (shutdown-agents)))
