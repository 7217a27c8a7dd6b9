# Consuming, acknowledging, prefetching, cancelling, and replies.

# Starts a consumer; its deliveries arrive in the returned queue as [delivery info, properties, body].
def deliveries(queue, **options)
  got = Queue.new
  queue.subscribe(**options) { |*message| got << message }
  got
end

check "get-and-get-empty" do
  Session.open do |s|
    queue = s.queue
    equal(queue.pop, [nil, nil, nil], "get-empty")
    s.publish(queue, "1", "2")
    info, _, body = queue.pop
    equal([info.redelivered, info.routing_key, body, queue.message_count], [false, queue.name, "1", 1], "get-ok")
  end
end

check "prefetch-is-exact" do
  Session.open do |s|
    queue = s.queue
    s.publish(queue, *("0".."9"))
    s.channel.prefetch(4)
    got = deliveries(queue, manual_ack: true)
    held = Array.new(4) { got.pop }
    equal([queue.message_count, got.size], [6, 0], "waiting with 4 unacked")
    s.channel.ack(held[1].first.delivery_tag, true)
    equal(Array.new(2) { got.pop.last }, %w[4 5], "next")
    equal([queue.message_count, got.size], [4, 0], "waiting after 2 acks")
  end
end

check "ack-nack-and-reject" do
  Session.open do |s|
    dead = s.queue("dead")
    queue = s.queue("queue", arguments: { "x-dead-letter-exchange" => "", "x-dead-letter-routing-key" => dead.name })
    s.publish(queue, "ack", "nack", "reject", "drop")
    tags = Array.new(4) { queue.pop(manual_ack: true).first.delivery_tag }
    s.channel.ack(tags[0])
    s.channel.nack(tags[1], false, true)
    s.channel.reject(tags[2], true)
    s.channel.nack(tags[3], false, false)
    got = deliveries(queue)
    again = Array.new(2) { got.pop }.map { |info, _, body| [info.redelivered, body] }
    equal(again, [[true, "nack"], [true, "reject"]], "redelivered")
    _, properties, body = deliveries(dead).pop
    death = properties.headers["x-death"].first
    equal([body, death["reason"], death["queue"], death["count"]], ["drop", "rejected", queue.name, 1], "dead letter")
  end
end

check "recover" do
  Session.open do |s|
    queue = s.queue
    s.publish(queue, "1")
    got = deliveries(queue, manual_ack: true)
    equal(got.pop.first.redelivered, false, "first")
    s.channel.basic_recover(true)
    equal(got.pop.first.redelivered, true, "second")
  end
end

check "exclusive-consumer-and-priority" do
  Session.open do |s|
    queue = s.queue
    consumer = queue.subscribe(exclusive: true) { |*| nil }
    closes_with(Bunny::AccessRefused, 403, "ACCESS_REFUSED - queue '#{queue.name}' in vhost '/' in exclusive use") do
      s.connection.create_channel.queue(queue.name, passive: true).subscribe { |*| nil }
    end
    consumer.cancel
    low = deliveries(queue)
    high = deliveries(queue, arguments: { "x-priority" => 5 })
    s.publish(queue, "1", "2")
    equal([high.pop.last, high.pop.last, low.size], ["1", "2", 0], "the higher priority gets all")
  end
end

check "cancelled-when-the-queue-goes" do
  Session.open do |s|
    queue, cancelled = s.queue, Queue.new
    consumer = Bunny::Consumer.new(s.channel, queue, "watcher")
    consumer.on_cancellation { |cancel| cancelled << cancel.consumer_tag }
    queue.subscribe_with(consumer)
    s.connection.create_channel.queue_delete(queue.name)
    equal(cancelled.pop, "watcher", "cancelled tag")
    equal(s.channel.open?, true, "channel")
  end
end

check "direct-reply-to" do
  Session.open do |s|
    requests = s.queue("requests")
    server = s.connection.create_channel
    server.queue(requests.name, passive: true).subscribe do |_, properties, body|
      server.default_exchange.publish(body.reverse, routing_key: properties.reply_to,
                                                    correlation_id: properties.correlation_id)
    end
    replies = Queue.new
    s.channel.basic_consume("amq.rabbitmq.reply-to", "", true) { |_, properties, body| replies << [properties.correlation_id, body] }
    3.times do |n|
      s.channel.default_exchange.publish("drawer", routing_key: requests.name, correlation_id: n.to_s,
                                                   reply_to: "amq.rabbitmq.reply-to")
    end
    equal(Array.new(3) { replies.pop }, [%w[0 reward], %w[1 reward], %w[2 reward]], "replies")
  end
end

check "publishing-in-threads" do
  Session.open do |s|
    queue = s.queue
    got = deliveries(queue)
    threads = Array.new(5) do |t|
      Thread.new do
        channel = s.connection.create_channel
        100.times { |n| channel.default_exchange.publish("#{t} #{n}", routing_key: queue.name) }
        channel.close
      end
    end
    threads.each(&:join)
    seen = Array.new(500) { got.pop.last.split.map(&:to_i) }.group_by(&:first)
    equal(seen.transform_values { |pairs| pairs.map(&:last) }, (0..4).to_h { |t| [t, (0..99).to_a] }, "order per channel")
  end
end
