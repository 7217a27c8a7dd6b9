# Exchange types and bindings.

check "direct-fanout-and-topic" do
  Session.open do |s|
    [[:direct, "a.b", ["a", "a.b.c"]], [:fanout, "", []], [:topic, "#.b", ["a", "a.b.c", ""]]].each do |kind, key, misses|
      exchange, queue = s.exchange(kind), s.queue
      queue.bind(exchange, routing_key: key)
      s.settle(exchange) do |x|
        x.publish("hit", routing_key: "a.b")
        misses.each { |miss| x.publish("miss", routing_key: miss) }
      end
      equal(bodies(queue), ["hit"], kind)
      queue.unbind(exchange, routing_key: key)
      s.settle(exchange) { |x| x.publish("unbound", routing_key: "a.b") }
      equal(bodies(queue), [], "#{kind} after unbind")
    end
  end
end

check "headers-exchange" do
  Session.open do |s|
    exchange, every, some = s.exchange(:headers), s.queue, s.queue
    wanted = { "colour" => "red", "size" => 3 }
    every.bind(exchange, arguments: wanted.merge("x-match" => "all"))
    some.bind(exchange, arguments: wanted.merge("x-match" => "any"))
    s.settle(exchange) do |x|
      x.publish("all", headers: wanted)
      x.publish("one", headers: { "size" => 3, "colour" => "blue" })
      x.publish("none", headers: { "size" => "3" })
    end
    equal([bodies(every), bodies(some)], [%w[all], %w[all one]], "queues")
  end
end

check "exchange-to-exchange" do
  Session.open do |s|
    source, target, queue = s.exchange(:topic), s.exchange(:fanout), s.queue
    queue.bind(target)
    target.bind(source, routing_key: "news.#")
    s.settle(source) do |x|
      x.publish("1", routing_key: "news.today")
      x.publish("2", routing_key: "olds.today")
    end
    target.unbind(source, routing_key: "news.#")
    s.settle(source) { |x| x.publish("3", routing_key: "news.today") }
    equal(bodies(queue), ["1"], "bodies")
  end
end

check "alternate-exchange" do
  Session.open do |s|
    alternate, rest = s.exchange(:fanout), s.queue
    rest.bind(alternate)
    exchange = s.exchange(:direct, arguments: { "alternate-exchange" => alternate.name })
    s.settle(exchange) { |x| x.publish("stray", routing_key: "nobody") }
    equal(bodies(rest), ["stray"], "bodies")
  end
end

check "auto-delete-and-conditional-exchange" do
  Session.open do |s|
    exchange, queue = s.exchange(:direct, auto_delete: true), s.queue
    queue.bind(exchange, routing_key: "k")
    closes_with(Bunny::PreconditionFailed, 406,
                "PRECONDITION_FAILED - exchange '#{exchange.name}' in vhost '/' in use") do
      s.connection.create_channel.exchange_delete(exchange.name, if_unused: true)
    end
    queue.unbind(exchange, routing_key: "k")
    equal(s.connection.exchange_exists?(exchange.name), false, "after its last binding")
  end
end
