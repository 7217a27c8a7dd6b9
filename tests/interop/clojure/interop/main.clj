(ns interop.main
  "Interoperability checks from Clojure, through langohr's functions."
  (:require [interop.connecting :as connecting]
            [interop.content :as content]
            [interop.declaring :as declaring]
            [interop.delivering :as delivering]
            [interop.harness :as harness]
            [interop.publishing :as publishing]
            [interop.routing :as routing]))

(defn -main []
  (let [passed? (harness/run (concat connecting/checks routing/checks declaring/checks delivering/checks
                                     publishing/checks content/checks))]
    (flush)
    (System/exit (if passed? 0 1))))
