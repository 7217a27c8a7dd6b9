(ns langohr.core
  "Connections, listeners and recovery; see langohr.conversion."
  (:require [clojure.walk :as walk])
  (:import (com.rabbitmq.client Address BlockedListener Connection ConnectionFactory Recoverable RecoveryListener
                                ShutdownListener ShutdownNotifier)
           (com.rabbitmq.client.impl ForgivingExceptionHandler)
           (com.rabbitmq.client.impl.recovery AutorecoveringConnection QueueRecoveryListener)))

(defn settings-from
  "What a connection URI says, as a map."
  [^String uri]
  (let [factory (doto (ConnectionFactory.) (.setUri uri))]
    {:host     (.getHost factory)
     :port     (.getPort factory)
     :vhost    (.getVirtualHost factory)
     :username (.getUsername factory)
     :password (.getPassword factory)}))

(def ^:dynamic *default-config*
  {:host "localhost" :port 5672 :vhost "/" :username "guest" :password "guest"})

(defn- factory-of
  ^ConnectionFactory [{:keys [host port vhost username password requested-heartbeat requested-channel-max connection-timeout
                              automatically-recover automatically-recover-topology network-recovery-delay]
                       :or   {requested-heartbeat            ConnectionFactory/DEFAULT_HEARTBEAT
                              requested-channel-max          ConnectionFactory/DEFAULT_CHANNEL_MAX
                              connection-timeout             ConnectionFactory/DEFAULT_CONNECTION_TIMEOUT
                              automatically-recover          true
                              automatically-recover-topology true
                              network-recovery-delay         5000}}]
  (doto (ConnectionFactory.)
    (.setHost host)
    (.setPort (int port))
    (.setVirtualHost vhost)
    (.setUsername username)
    (.setPassword password)
    (.setRequestedHeartbeat (int requested-heartbeat))
    (.setRequestedChannelMax (int requested-channel-max))
    (.setConnectionTimeout (int connection-timeout))
    (.setAutomaticRecoveryEnabled (boolean automatically-recover))
    (.setTopologyRecoveryEnabled (boolean automatically-recover-topology))
    (.setNetworkRecoveryInterval (long network-recovery-delay))
    (.setExceptionHandler (ForgivingExceptionHandler.))))

(defn connect
  "Connects as the settings say: :uri, or :host(s), :port, :vhost, :username, :password, and the tuning options."
  (^Connection [] (connect {}))
  (^Connection [{:keys [uri host hosts] :as settings}]
   (let [full      (merge *default-config* (when uri (settings-from uri)) settings)
         names     (or (seq hosts) [(or host (:host full))])
         addresses (mapv #(Address. ^String % (int (:port full))) names)]
     (.newConnection (factory-of full) ^java.util.List addresses))))

(defn close [^java.lang.AutoCloseable connection-or-channel] (.close connection-or-channel))
(defn open? [^ShutdownNotifier connection-or-channel] (.isOpen connection-or-channel))
(def closed? (complement open?))

(defn add-shutdown-listener [^ShutdownNotifier target f]
  (let [listener (reify ShutdownListener (shutdownCompleted [_ cause] (f cause)))]
    (.addShutdownListener target listener)
    listener))

(defn add-blocked-listener [^Connection connection on-blocked on-unblocked]
  (let [listener (reify BlockedListener
                   (handleBlocked [_ reason] (on-blocked reason))
                   (handleUnblocked [_] (on-unblocked)))]
    (.addBlockedListener connection listener)
    listener))

(defn capabilities-of [^Connection connection]
  (walk/keywordize-keys (into {} (get (.getServerProperties connection) "capabilities"))))

(defn on-recovery [^Recoverable target f]
  (.addRecoveryListener target (reify RecoveryListener
                                 (handleRecovery [_ recovered] (f recovered))
                                 (handleRecoveryStarted [_ _]))))

(defn on-queue-recovery [^AutorecoveringConnection connection f]
  (.addQueueRecoveryListener connection (reify QueueRecoveryListener
                                          (queueRecovered [_ old-name new-name] (f old-name new-name)))))
