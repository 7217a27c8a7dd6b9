(ns langohr.conversion
  "Stand-in for langohr, whose jar is not on Maven Central: the namespaces in
   this directory have the names, arguments and results of langohr's functions
   and, like them, only call the Java client. This one turns what the Java
   client delivers into maps."
  (:import (com.rabbitmq.client AMQP$BasicProperties Delivery Envelope GetResponse)))

(defn- envelope->map [^Envelope envelope]
  {:delivery-tag (.getDeliveryTag envelope)
   :redelivery?  (.isRedeliver envelope)
   :exchange     (.getExchange envelope)
   :routing-key  (.getRoutingKey envelope)})

(defn- properties->map [^AMQP$BasicProperties properties]
  {:content-type     (.getContentType properties)
   :content-encoding (.getContentEncoding properties)
   :headers          (.getHeaders properties)
   :delivery-mode    (.getDeliveryMode properties)
   :persistent?      (= 2 (.getDeliveryMode properties))
   :priority         (.getPriority properties)
   :correlation-id   (.getCorrelationId properties)
   :reply-to         (.getReplyTo properties)
   :expiration       (.getExpiration properties)
   :message-id       (.getMessageId properties)
   :timestamp        (.getTimestamp properties)
   :type             (.getType properties)
   :user-id          (.getUserId properties)
   :app-id           (.getAppId properties)
   :cluster-id       (.getClusterId properties)})

(defmulti to-message-metadata class)

(defmethod to-message-metadata Delivery [^Delivery delivery]
  (merge (properties->map (.getProperties delivery)) (envelope->map (.getEnvelope delivery))))

(defmethod to-message-metadata GetResponse [^GetResponse response]
  (merge (properties->map (.getProps response))
         (envelope->map (.getEnvelope response))
         {:message-count (.getMessageCount response)}))
