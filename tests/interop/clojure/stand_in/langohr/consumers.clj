(ns langohr.consumers
  "Consumers made of functions; see langohr.conversion."
  (:require [langohr.basic :as basic]
            [langohr.conversion :refer [to-message-metadata]])
  (:import (com.rabbitmq.client Channel Consumer Delivery)))

(defn create-default
  "Calls the given functions; those for deliveries get channel, metadata and body."
  ^Consumer [^Channel channel {:keys [handle-consume-ok-fn handle-cancel-fn handle-cancel-ok-fn handle-shutdown-signal-fn
                                      handle-recover-ok-fn handle-delivery-fn]}]
  (letfn [(tell [f & values] (when f (apply f values)))]
    (reify Consumer
      (handleConsumeOk [_ tag] (tell handle-consume-ok-fn tag))
      (handleCancelOk [_ tag] (tell handle-cancel-ok-fn tag))
      (handleCancel [_ tag] (tell handle-cancel-fn tag))
      (handleRecoverOk [_ _] (tell handle-recover-ok-fn))
      (handleShutdownSignal [_ tag signal] (tell handle-shutdown-signal-fn tag signal))
      (handleDelivery [_ _ envelope properties body]
        (tell handle-delivery-fn channel (to-message-metadata (Delivery. envelope properties body)) body)))))

(defn subscribe
  "Consumes with the function; further options are those of create-default and of langohr.basic/consume."
  ([channel queue f] (subscribe channel queue f {}))
  ([channel queue f options]
   (basic/consume channel queue (create-default channel (assoc options :handle-delivery-fn f)) options)))

(defn ack-unless-exception
  "Wraps a delivery function so that what it returns from normally is acknowledged."
  [f]
  (fn [channel metadata body]
    (f channel metadata body)
    (basic/ack channel (:delivery-tag metadata))))
