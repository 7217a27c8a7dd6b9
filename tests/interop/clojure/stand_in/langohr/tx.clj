(ns langohr.tx
  "Transactions; see langohr.conversion."
  (:import (com.rabbitmq.client Channel)))

(defn select [^Channel channel] (.txSelect channel))
(defn commit [^Channel channel] (.txCommit channel))
(defn rollback [^Channel channel] (.txRollback channel))
