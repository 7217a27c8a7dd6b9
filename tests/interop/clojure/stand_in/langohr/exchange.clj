(ns langohr.exchange
  "Operations on exchanges; see langohr.conversion."
  (:refer-clojure :exclude [declare])
  (:import (com.rabbitmq.client Channel)
           (java.util Map)))

(defn declare
  ([channel exchange type] (declare channel exchange type {}))
  ([^Channel channel ^String exchange ^String type {:keys [durable auto-delete internal arguments]}]
   (.exchangeDeclare channel exchange type (boolean durable) (boolean auto-delete) (boolean internal) ^Map arguments)))

(defn declare-passive [^Channel channel ^String exchange] (.exchangeDeclarePassive channel exchange))
(defn direct [channel exchange & options] (apply declare channel exchange "direct" options))
(defn fanout [channel exchange & options] (apply declare channel exchange "fanout" options))
(defn topic [channel exchange & options] (apply declare channel exchange "topic" options))

(defn delete
  ([channel exchange] (delete channel exchange false))
  ([^Channel channel ^String exchange if-unused] (.exchangeDelete channel exchange (boolean if-unused))))

(defn bind
  ([channel destination source] (bind channel destination source {}))
  ([^Channel channel ^String destination ^String source {:keys [routing-key arguments] :or {routing-key ""}}]
   (.exchangeBind channel destination source ^String routing-key ^Map arguments)))

(defn unbind
  ([channel destination source] (unbind channel destination source ""))
  ([^Channel channel ^String destination ^String source ^String routing-key]
   (.exchangeUnbind channel destination source routing-key)))
