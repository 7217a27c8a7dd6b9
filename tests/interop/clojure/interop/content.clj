(ns interop.content
  "Properties, header field types and bodies survive the trip unchanged."
  (:require [interop.harness :refer [confirmed confirming equal exclusive-queue refused-later text unique]]
            [langohr.basic :as basic]
            [langohr.channel :as channel])
  (:import (com.rabbitmq.client LongString)
           (java.util Arrays Date List Map)))

(defn- round-trip
  "Sends one message through a queue and fetches it again, as [metadata body]."
  [connection body options]
  (let [ch (confirming connection) name (exclusive-queue ch)]
    (equal (confirmed ch "" name body options) true)
    (basic/get ch name)))

(def ^:private all-properties
  {:content-type "text/plain" :content-encoding "utf-8" :priority 7 :correlation-id "corr-1" :reply-to "answers"
   :expiration "600000" :message-id "id-1" :timestamp (Date. 1700000000000) :type "greeting" :user-id "guest"
   :app-id "interop" :cluster-id "unused"})

(defn- properties [connection]
  (let [[metadata _] (round-trip connection "x" (assoc all-properties :persistent true))]
    (equal (select-keys metadata (keys all-properties)) all-properties)
    (equal [(:delivery-mode metadata) (:persistent? metadata)] [2 true])))

(defn- absent [connection]
  (let [[metadata _] (round-trip connection "x" {})]
    (equal (remove nil? (map metadata (keys all-properties))) [])
    (equal [(:headers metadata) (:persistent? metadata)] [nil false])))

(defn- user-id-forged [connection]
  (let [ch (channel/open connection)]
    (refused-later ch 406 "PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was 'guest'"
                   #(basic/publish ch "" (unique "any") "x" {:user-id "somebody"}))))

(defn- expiration-invalid [connection]
  (let [ch (channel/open connection)]
    (refused-later ch 406 "PRECONDITION_FAILED - invalid expiration 'soon'"
                   #(basic/publish ch "" (unique "any") "x" {:expiration "soon"}))))

(defn- plain
  "Java's collections and long strings as Clojure values, numbers with their exact class."
  [value]
  (cond
    (instance? LongString value) (str value)
    (instance? Map value) (update-vals (into {} value) plain)
    (instance? List value) (mapv plain value)
    (bytes? value) [:bytes (vec value)]
    (number? value) [(class value) value]
    :else value))

(defn- headers [connection]
  (let [sent {"string" "żółw" "empty" "" "true" true "false" false "void" nil
              "byte" (byte -7) "short" (short -300) "int" (int -70000) "long" -5000000000
              "float" (float 0.5) "double" 2.25 "decimal" 3.14M
              "bytes" (byte-array [0 -1 10]) "timestamp" (Date. 1700000000000)
              "array" ["a" 1 [true nil] {"deep" "table"}]
              "table" {"inner" {"most" 1} "also" "here"}}
        [metadata _] (round-trip connection "x" {:headers sent})]
    (equal (plain (:headers metadata)) (plain sent))))

(defn- large [connection]
  (let [body (byte-array (map #(unchecked-byte (mod % 251)) (range (* 5 1024 1024))))
        [_ got] (round-trip connection body {})]
    (equal (Arrays/equals ^bytes body ^bytes got) true)))

(defn- nothing [connection]
  (let [[metadata body] (round-trip connection "" {:type "nothing"})]
    (equal [(text body) (:type metadata)] ["" "nothing"])))

(def checks
  [["properties-round-trip" properties]
   ["properties-absent" absent]
   ["user-id-forged-406" user-id-forged]
   ["expiration-invalid-406" expiration-invalid]
   ["header-types-round-trip" headers]
   ["body-large" large]
   ["body-empty" nothing]])
