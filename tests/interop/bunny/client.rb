# Bunny (Ruby) against the broker.

require_relative "checks"
require_relative "delivering"
require_relative "routing"
require_relative "relay"

check "connect-and-close" do
  Session.open do |s|
    capabilities = s.connection.server_capabilities
    %w[publisher_confirms exchange_exchange_bindings basic.nack consumer_cancel_notify connection.blocked
       consumer_priorities authentication_failure_close per_consumer_qos].each do |name|
      equal(capabilities[name], true, name)
    end
    s.connection.close
    equal(s.connection.closed?, true, "closed")
  end
end

check "refused-login" do
  Bunny.new(AMQP_URL.sub("guest:guest", "guest:wrong"), log_level: :fatal, automatically_recover: false).start
  raise Failure, "the login was accepted"
rescue Bunny::AuthenticationFailureError => e
  equal(e.message.include?("Authentication with RabbitMQ failed"), true, e.message)
end

check "unknown-vhost" do
  vhost = unique("vhost")
  closes_with(Bunny::NotAllowedError, 530, "NOT_ALLOWED - vhost #{vhost} not found") do
    Bunny.new(AMQP_URL.sub("%2f", vhost), log_level: :fatal, automatically_recover: false).start
  end
end

check "queue-and-exchange-exist" do
  Session.open do |s|
    queue = s.queue
    equal([s.connection.queue_exists?(queue.name), s.connection.queue_exists?(unique("none"))], [true, false], "queues")
    equal([s.connection.exchange_exists?("amq.topic"), s.connection.exchange_exists?(unique("none"))],
          [true, false], "exchanges")
  end
end

check "channel-errors" do
  Session.open do |s|
    queue, missing = s.queue, unique("missing")
    closes_with(Bunny::NotFound, 404, "NOT_FOUND - no queue '#{missing}' in vhost '/'") do
      s.connection.create_channel.queue(missing, passive: true)
    end
    closes_with(Bunny::NotFound, 404, "NOT_FOUND - no exchange '#{missing}' in vhost '/'") do
      s.connection.create_channel.exchange_bind(missing, "amq.topic")
    end
    closes_with(Bunny::PreconditionFailed, 406, "PRECONDITION_FAILED - inequivalent arg 'durable' for queue " \
                "'#{queue.name}' in vhost '/': received 'true' but current is 'false'") do
      s.connection.create_channel.queue(queue.name, durable: true)
    end
    closes_with(Bunny::AccessRefused, 403, "ACCESS_REFUSED - queue name 'amq.x' contains reserved prefix 'amq.*'") do
      s.connection.create_channel.queue("amq.x")
    end
    s.publish(queue, "alive")
    equal(bodies(queue), ["alive"], "the first channel lives on")
  end
end

check "unknown-delivery-tag" do
  Session.open do |s|
    closed = Queue.new
    channel = s.connection.create_channel
    channel.on_error { |_, close| closed << [close.reply_code, close.reply_text] }
    channel.basic_ack(82, false)
    equal(closed.pop, [406, "PRECONDITION_FAILED - unknown delivery tag 82"], "close")
  end
end

check "exclusive-queue" do
  Session.open do |owner|
    queue = owner.channel.queue("", exclusive: true)
    equal(queue.name.start_with?("amq.gen-"), true, queue.name)
    Session.open do |other|
      closes_with(Bunny::ResourceLocked, 405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue " \
                  "'#{queue.name}' in vhost '/'. It could be originally declared on another connection or the " \
                  "exclusive property value does not match that of the original declaration.") do
        other.connection.create_channel.queue(queue.name, passive: true)
      end
      owner.connection.close
      equal(other.connection.queue_exists?(queue.name), false, "after its connection")
    end
  end
end

check "delete-and-purge" do
  Session.open do |s|
    queue = s.queue
    s.publish(queue, "1", "2", "3")
    equal(queue.message_count, 3, "messages")
    closes_with(Bunny::PreconditionFailed, 406,
                "PRECONDITION_FAILED - queue '#{queue.name}' in vhost '/' not empty") do
      s.connection.create_channel.queue_delete(queue.name, if_empty: true)
    end
    equal(s.channel.queue_purge(queue.name).message_count, 3, "purged")
    s.publish(queue, "4")
    equal(queue.delete.message_count, 1, "deleted with")
  end
end

check "many-confirms" do
  Session.open do |s|
    queue, seen, mutex = s.queue(durable: true), [], Mutex.new
    channel = s.connection.create_channel
    channel.confirm_select(->(tag, multiple, nack) { mutex.synchronize { seen << [tag, multiple, nack] } })
    500.times { |n| channel.default_exchange.publish(n.to_s, routing_key: queue.name, persistent: true) }
    equal(channel.wait_for_confirms, true, "confirms")
    equal([seen.map(&:first).max, seen.any?(&:last)], [500, false], "last tag, any nack")
    equal(queue.message_count, 500, "messages")
  end
end

check "nacked-by-a-full-queue" do
  Session.open do |s|
    queue = s.queue(arguments: { "x-max-length" => 2, "x-overflow" => "reject-publish" })
    channel = s.connection.create_channel
    channel.confirm_select
    4.times { |n| channel.default_exchange.publish(n.to_s, routing_key: queue.name) }
    equal(channel.wait_for_confirms, false, "all confirmed")
    equal([channel.nacked_set.size, bodies(queue)], [2, %w[0 1]], "nacked")
  end
end

check "mandatory-return" do
  Session.open do |s|
    returned = Queue.new
    exchange = s.exchange(:direct)
    exchange.on_return { |info, properties, body| returned << [info, properties, body] }
    exchange.publish("back", routing_key: "nobody", mandatory: true, message_id: "m-1")
    info, properties, body = returned.pop
    equal([info.reply_code, info.reply_text, info.exchange, info.routing_key, properties.message_id, body],
          [312, "NO_ROUTE", exchange.name, "nobody", "m-1", "back"], "return")
  end
end

check "transactions" do
  Session.open do |s|
    queue = s.queue
    channel = s.connection.create_channel
    channel.tx_select
    channel.default_exchange.publish("rolled back", routing_key: queue.name)
    channel.tx_rollback
    channel.default_exchange.publish("committed", routing_key: queue.name)
    equal(queue.message_count, 0, "before commit")
    channel.tx_commit
    equal(bodies(queue), ["committed"], "after commit")
  end
end

check "properties-and-headers" do
  Session.open do |s|
    queue = s.queue
    time = Time.at(1_700_000_000)
    headers = { "text" => "žluť", "true" => true, "false" => false, "int" => -5, "long" => 2**60, "double" => 0.1,
                "time" => time, "void" => nil, "array" => [1, "two", [3, { "k" => true }]],
                "table" => { "inner" => { "deep" => true }, "none" => {} }, "no items" => [] }
    options = { headers: headers, content_type: "text/plain", content_encoding: "utf-8", persistent: true,
                priority: 8, correlation_id: "c", reply_to: "r", expiration: "60000", message_id: "m",
                timestamp: time.to_i, type: "t", user_id: "guest", app_id: "a" }
    s.publish(queue, "body", **options)
    _, properties, = queue.pop
    got = properties.to_h
    got[:headers]["text"] = got[:headers]["text"].dup.force_encoding("UTF-8")
    wanted = options.reject { |name, _| name == :persistent }.merge(delivery_mode: 2, timestamp: time)
    equal(got, wanted, "properties")
  end
end

check "large-and-empty-bodies" do
  Session.open do |s|
    queue = s.queue
    sent = ["", "x", "\0" * 131_064, "\xCE".b * 131_065, Random.new(1).bytes(5_000_000)]
    s.publish(queue, *sent)
    got = bodies(queue).map { |body| body.to_s.b }
    equal(got.map(&:bytesize), sent.map(&:bytesize), "lengths")
    equal(got == sent.map(&:b), true, "same octets")
  end
end

check "heartbeats" do
  Session.open(heartbeat: 1) do |s|
    queue = s.channel.queue("", exclusive: true)
    sleep 5
    s.publish(queue, "awake")
    equal(bodies(queue), ["awake"], "after 5 s of silence")
  end
end

check "recovers-topology-and-consumers" do
  relay, recovered = Relay.new, Queue.new
  connection = Bunny.new(relay.url, log_level: :fatal, network_recovery_interval: 0.2,
                                    recovery_completed: -> { recovered << true })
  connection.start
  channel = connection.create_channel
  channel.prefetch(7)
  queue = channel.queue("", exclusive: true)
  exchange = channel.topic(unique("exchange"), auto_delete: true)
  queue.bind(exchange, routing_key: "a.*")
  got = Queue.new
  queue.subscribe { |info, _, body| got << [info.routing_key, body] }
  exchange.publish("before", routing_key: "a.b")
  equal(got.pop, ["a.b", "before"], "before")
  old_name = queue.name
  relay.cut
  recovered.pop
  exchange.publish("after", routing_key: "a.c")
  equal(got.pop, ["a.c", "after"], "after")
  equal(queue.name != old_name, true, "a new name for the server-named queue")
  connection.close
  relay.close
end

check "update-secret" do
  Session.open do |s|
    s.connection.update_secret("guest", "rotation")
    equal(s.connection.create_channel.open?, true, "channel afterwards")
  end
end

run_checks
