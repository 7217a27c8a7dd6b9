(ns interop.routing
  "The exchange types and how bindings select queues."
  (:require [interop.harness :refer [confirmed confirming drain equal exclusive-queue fill refused refused-later unique]]
            [langohr.basic :as basic]
            [langohr.channel :as channel]
            [langohr.exchange :as exchange]
            [langohr.queue :as queue]))

(defn- declared [ch type]
  (let [name (unique type)]
    (exchange/declare ch name type {:auto-delete true})
    name))

(defn- publish-keys
  "One message per key, with the key as its body."
  [ch source ks]
  (doseq [k ks] (equal (confirmed ch source k k) true)))

(defn- default [connection]
  (let [ch (confirming connection) name (exclusive-queue ch)]
    (fill ch name ["by name"])
    (equal (drain ch name) ["by name"])))

(defn- direct [connection]
  (let [ch (confirming connection) source (declared ch "direct") name (exclusive-queue ch)]
    (queue/bind ch name source {:routing-key "red"})
    (queue/bind ch name source {:routing-key "blue"})
    (publish-keys ch source ["red" "green" "blue" "Red"])
    (equal (drain ch name) ["red" "blue"])))

(defn- fanout [connection]
  (let [ch (confirming connection) source (declared ch "fanout") left (exclusive-queue ch) right (exclusive-queue ch)]
    (queue/bind ch left source)
    (queue/bind ch right source {:routing-key "ignored"})
    (publish-keys ch source ["any"])
    (equal [(drain ch left) (drain ch right)] [["any"] ["any"]])))

(defn- topic [connection]
  (let [ch (confirming connection) source (declared ch "topic") star (exclusive-queue ch) hash (exclusive-queue ch)]
    (queue/bind ch star source {:routing-key "stock.*.nyse"})
    (queue/bind ch hash source {:routing-key "stock.#"})
    (publish-keys ch source ["stock" "stock.usd.nyse" "stock.nyse" "stock.usd.eu.nyse" "bond.usd.nyse"])
    (equal (drain ch star) ["stock.usd.nyse"])
    (equal (drain ch hash) ["stock" "stock.usd.nyse" "stock.nyse" "stock.usd.eu.nyse"])))

(defn- headers [connection]
  (let [ch (confirming connection) source (declared ch "headers") all (exclusive-queue ch) any (exclusive-queue ch)]
    (queue/bind ch all source {:arguments {"x-match" "all" "kind" "report" "pages" 3}})
    (queue/bind ch any source {:arguments {"x-match" "any" "kind" "report" "pages" 3}})
    ;; The width of an integer does not matter, its value does.
    (doseq [[body sent] [["both" {"kind" "report" "pages" (int 3) "extra" true}]
                         ["kind" {"kind" "report" "pages" 4}]
                         ["pages" {"pages" 3}]
                         ["neither" {"kind" "note"}]]]
      (equal (confirmed ch source "" body {:headers sent}) true))
    (equal (drain ch all) ["both"])
    (equal (drain ch any) ["both" "kind" "pages"])))

(defn- exchange-to-exchange [connection]
  (let [ch     (confirming connection)
        source (declared ch "topic")
        middle (declared ch "fanout")
        name   (exclusive-queue ch)]
    (queue/bind ch name middle)
    (exchange/bind ch middle source {:routing-key "log.#"})
    (publish-keys ch source ["log.error" "trace.x" "log"])
    (equal (drain ch name) ["log.error" "log"])
    (exchange/unbind ch middle source "log.#")
    ;; The source was declared auto-delete and has lost its last binding.
    (refused 404 (str "NOT_FOUND - no exchange '" source "'") #(exchange/declare-passive ch source))))

(defn- alternate [connection]
  (let [ch (confirming connection) spare (declared ch "fanout") name (exclusive-queue ch) source (unique "direct")]
    (queue/bind ch name spare)
    (exchange/direct ch source {:arguments {"alternate-exchange" spare}})
    (publish-keys ch source ["nowhere"])
    (equal (drain ch name) ["nowhere"])
    (exchange/delete ch source)))

(defn- internal [connection]
  (let [ch (channel/open connection) name (unique "internal")]
    (exchange/fanout ch name {:internal true})
    (refused-later ch 403 (str "ACCESS_REFUSED - cannot publish to internal exchange '" name "' in vhost '/'")
                   #(basic/publish ch name "" "x"))
    (exchange/delete (channel/open connection) name)))

(defn- unbind [connection]
  (let [ch (confirming connection) name (exclusive-queue ch)]
    (queue/bind ch name "amq.direct" {:routing-key name})
    (publish-keys ch "amq.direct" [name])
    (equal (drain ch name) [name])
    (queue/unbind ch name "amq.direct" name)
    (publish-keys ch "amq.direct" [name])
    (equal (drain ch name) [])))

(def checks
  [["exchange-default" default]
   ["exchange-direct" direct]
   ["exchange-fanout" fanout]
   ["exchange-topic" topic]
   ["exchange-headers" headers]
   ["exchange-to-exchange" exchange-to-exchange]
   ["exchange-alternate" alternate]
   ["exchange-internal-403" internal]
   ["unbind-stops-routing" unbind]])
