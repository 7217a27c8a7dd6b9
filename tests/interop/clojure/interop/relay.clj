(ns interop.relay
  "A TCP relay in front of the broker whose connections can be cut, so that a
   client sees a network failure the broker did not announce."
  (:require [clojure.java.io :as io])
  (:import (java.io IOException)
           (java.net InetAddress ServerSocket Socket)))

(defn- pipe [^Socket from ^Socket into]
  (try
    (io/copy (.getInputStream from) (.getOutputStream into) :buffer-size 65536)
    (catch IOException _ nil))
  (.close from)
  (.close into))

(defn- accept [^ServerSocket listener ^String host port open]
  (try
    (loop []
      (let [near (.accept listener)
            far  (Socket. host (int port))]
        (swap! open conj near far)
        (future (pipe near far))
        (future (pipe far near)))
      (recur))
    (catch IOException _ nil)))

(defn cut
  "Drops every connection; new ones are still accepted."
  [{:keys [open]}]
  (doseq [^Socket socket (first (reset-vals! open []))] (.close socket)))

(defn with-relay
  "Calls the function with a relay map, whose :port leads to the broker."
  [host port f]
  (with-open [listener (ServerSocket. 0 50 (InetAddress/getLoopbackAddress))]
    (let [relay {:port (.getLocalPort listener) :open (atom [])}]
      (future (accept listener host port (:open relay)))
      (try (f relay) (finally (cut relay))))))
