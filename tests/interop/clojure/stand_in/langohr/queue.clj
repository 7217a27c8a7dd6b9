(ns langohr.queue
  "Operations on queues; see langohr.conversion."
  (:refer-clojure :exclude [declare empty?])
  (:import (com.rabbitmq.client AMQP$Queue$DeclareOk AMQP$Queue$DeleteOk AMQP$Queue$PurgeOk Channel)
           (java.util Map)))

(defn- declared [^AMQP$Queue$DeclareOk ok]
  {:queue (.getQueue ok) :message-count (.getMessageCount ok) :consumer-count (.getConsumerCount ok)})

(defn declare
  ([^Channel channel] (declared (.queueDeclare channel)))
  ([channel queue] (declare channel queue {}))
  ([^Channel channel ^String queue {:keys [durable exclusive auto-delete arguments]
                                    :or   {durable false exclusive false auto-delete true}}]
   (declared (.queueDeclare channel queue (boolean durable) (boolean exclusive) (boolean auto-delete) ^Map arguments))))

(defn declare-passive [^Channel channel ^String queue] (declared (.queueDeclarePassive channel queue)))

(defn declare-server-named
  ([channel] (:queue (declare channel)))
  ([channel options] (:queue (declare channel "" options))))

(defn bind
  ([channel queue exchange] (bind channel queue exchange {}))
  ([^Channel channel ^String queue ^String exchange {:keys [routing-key arguments] :or {routing-key ""}}]
   (.queueBind channel queue exchange ^String routing-key ^Map arguments)))

(defn unbind
  ([channel queue exchange] (unbind channel queue exchange ""))
  ([^Channel channel ^String queue ^String exchange ^String routing-key]
   (.queueUnbind channel queue exchange routing-key)))

(defn delete
  ([channel queue] (delete channel queue false false))
  ([^Channel channel ^String queue if-unused if-empty]
   (let [^AMQP$Queue$DeleteOk ok (.queueDelete channel queue (boolean if-unused) (boolean if-empty))]
     {:message-count (.getMessageCount ok)})))

(defn purge [^Channel channel ^String queue]
  (let [^AMQP$Queue$PurgeOk ok (.queuePurge channel queue)]
    {:message-count (.getMessageCount ok)}))

(defn status [channel queue] (select-keys (declare-passive channel queue) [:message-count :consumer-count]))
(defn message-count [channel queue] (:message-count (status channel queue)))
(defn consumer-count [channel queue] (:consumer-count (status channel queue)))
(defn empty? [channel queue] (zero? (message-count channel queue)))
