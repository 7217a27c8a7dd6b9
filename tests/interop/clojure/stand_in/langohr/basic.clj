(ns langohr.basic
  "Publishing, fetching and acknowledging; see langohr.conversion."
  (:refer-clojure :exclude [get])
  (:require [langohr.conversion :refer [to-message-metadata]])
  (:import (com.rabbitmq.client AMQP$BasicProperties AMQP$BasicProperties$Builder Channel Consumer GetResponse ReturnListener)
           (java.util Map)))

(defn- octets ^bytes [payload]
  (if (string? payload) (.getBytes ^String payload "UTF-8") payload))

(defn- properties
  ^AMQP$BasicProperties [{:keys [content-type content-encoding headers persistent priority correlation-id reply-to
                                 expiration message-id timestamp type user-id app-id cluster-id]}]
  (-> (AMQP$BasicProperties$Builder.)
      (.contentType content-type)
      (.contentEncoding content-encoding)
      (.headers headers)
      (.deliveryMode (int (if persistent 2 1)))
      (.priority (when priority (int priority)))
      (.correlationId correlation-id)
      (.replyTo reply-to)
      (.expiration expiration)
      (.messageId message-id)
      (.timestamp timestamp)
      (.type type)
      (.userId user-id)
      (.appId app-id)
      (.clusterId cluster-id)
      (.build)))

(defn publish
  ([channel exchange routing-key payload] (publish channel exchange routing-key payload {}))
  ([^Channel channel ^String exchange ^String routing-key payload {:keys [mandatory] :as options}]
   (.basicPublish channel exchange routing-key (boolean mandatory) (properties options) (octets payload))))

(defn add-return-listener
  "The function gets reply code, reply text, exchange, routing key, properties and body."
  [^Channel channel f]
  (.addReturnListener channel (reify ReturnListener
                                (handleReturn [_ code text exchange routing-key properties body]
                                  (f code text exchange routing-key properties body))))
  channel)

(defn consume
  ([channel queue consumer] (consume channel queue consumer {}))
  ([^Channel channel ^String queue ^Consumer consumer {:keys [consumer-tag auto-ack exclusive no-local arguments]
                                                       :or   {consumer-tag ""}}]
   (.basicConsume channel queue (boolean auto-ack) ^String consumer-tag (boolean no-local) (boolean exclusive)
                  ^Map arguments consumer)))

(defn cancel [^Channel channel ^String consumer-tag] (.basicCancel channel consumer-tag))

(defn get
  "The next message as [metadata body], or nil; acknowledged at once unless told otherwise."
  ([channel queue] (get channel queue true))
  ([^Channel channel ^String queue auto-ack]
   (when-let [^GetResponse response (.basicGet channel queue (boolean auto-ack))]
     [(to-message-metadata response) (.getBody response)])))

(defn qos
  ([^Channel channel prefetch-count] (.basicQos channel (int prefetch-count)))
  ([^Channel channel prefetch-size prefetch-count global]
   (.basicQos channel (int prefetch-size) (int prefetch-count) (boolean global))))

(defn ack
  ([channel delivery-tag] (ack channel delivery-tag false))
  ([^Channel channel delivery-tag multiple] (.basicAck channel (long delivery-tag) (boolean multiple))))

(defn reject
  ([channel delivery-tag] (reject channel delivery-tag false))
  ([^Channel channel delivery-tag requeue] (.basicReject channel (long delivery-tag) (boolean requeue))))

(defn nack [^Channel channel delivery-tag multiple requeue]
  (.basicNack channel (long delivery-tag) (boolean multiple) (boolean requeue)))

(defn recover
  ([^Channel channel] (.basicRecover channel))
  ([^Channel channel requeue] (.basicRecover channel (boolean requeue))))
