(ns langohr.confirm
  "Publisher confirms; see langohr.conversion."
  (:import (com.rabbitmq.client Channel ConfirmListener)))

(defn listener [on-ack on-nack]
  (reify ConfirmListener
    (handleAck [_ delivery-tag multiple] (on-ack delivery-tag multiple))
    (handleNack [_ delivery-tag multiple] (on-nack delivery-tag multiple))))

(defn add-listener [^Channel channel ^ConfirmListener listener]
  (.addConfirmListener channel listener)
  channel)

(defn select
  ([^Channel channel] (.confirmSelect channel))
  ([channel on-ack on-nack]
   (select channel)
   (add-listener channel (listener on-ack on-nack))))

(defn wait-for-confirms
  ([^Channel channel] (.waitForConfirms channel))
  ([^Channel channel timeout] (.waitForConfirms channel (long timeout))))

(defn wait-for-confirms-or-die
  ([^Channel channel] (.waitForConfirmsOrDie channel))
  ([^Channel channel timeout] (.waitForConfirmsOrDie channel (long timeout))))
