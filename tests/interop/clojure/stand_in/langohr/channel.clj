(ns langohr.channel
  "Operations on channels; see langohr.conversion."
  (:import (com.rabbitmq.client Channel Connection)))

(defn open
  (^Channel [^Connection connection] (.createChannel connection))
  (^Channel [^Connection connection number] (.createChannel connection (int number))))

(defn close [^Channel channel] (.close channel))
(defn open? [^Channel channel] (.isOpen channel))
(def closed? (complement open?))
