defmodule Interop.Routing do
  @moduledoc "The exchange types and how bindings select queues."
  import Interop.Harness
  alias AMQP.{Exchange, Queue}

  def checks do
    [
      {"exchange-default", &default/1},
      {"exchange-direct", &direct/1},
      {"exchange-fanout", &fanout/1},
      {"exchange-topic", &topic/1},
      {"exchange-headers", &headers/1},
      {"exchange-to-exchange", &exchange_to_exchange/1},
      {"exchange-alternate", &alternate/1},
      {"exchange-internal-403", &internal/1},
      {"unbind-stops-routing", &unbind/1}
    ]
  end

  defp exchange(channel, type) do
    name = unique(type)
    :ok = Exchange.declare(channel, name, type, auto_delete: true)
    name
  end

  # One message per key, with the key as its body.
  defp publish_keys(channel, exchange, keys) do
    for key <- keys, do: equal(send_confirmed(channel, exchange, key, key), true)
  end

  defp default(connection) do
    channel = confirming(connection)
    name = queue(channel)
    fill(channel, name, ["by name"])
    equal(drain(channel, name), ["by name"])
  end

  defp direct(connection) do
    channel = confirming(connection)
    {source, name} = {exchange(channel, :direct), queue(channel)}
    for key <- ["red", "blue"], do: :ok = Queue.bind(channel, name, source, routing_key: key)
    publish_keys(channel, source, ["red", "green", "blue", "Red"])
    equal(drain(channel, name), ["red", "blue"])
  end

  defp fanout(connection) do
    channel = confirming(connection)
    {source, left, right} = {exchange(channel, :fanout), queue(channel), queue(channel)}
    :ok = Queue.bind(channel, left, source)
    :ok = Queue.bind(channel, right, source, routing_key: "ignored")
    publish_keys(channel, source, ["any"])
    equal({drain(channel, left), drain(channel, right)}, {["any"], ["any"]})
  end

  defp topic(connection) do
    channel = confirming(connection)
    {source, star, hash} = {exchange(channel, :topic), queue(channel), queue(channel)}
    :ok = Queue.bind(channel, star, source, routing_key: "stock.*.nyse")
    :ok = Queue.bind(channel, hash, source, routing_key: "stock.#")
    publish_keys(channel, source, ["stock", "stock.usd.nyse", "stock.nyse", "stock.usd.eu.nyse", "bond.usd.nyse"])
    equal(drain(channel, star), ["stock.usd.nyse"])
    equal(drain(channel, hash), ["stock", "stock.usd.nyse", "stock.nyse", "stock.usd.eu.nyse"])
  end

  defp headers(connection) do
    channel = confirming(connection)
    {source, all, any} = {exchange(channel, :headers), queue(channel), queue(channel)}
    wanted = [{"kind", "report"}, {"pages", 3}]
    :ok = Queue.bind(channel, all, source, arguments: [{"x-match", "all"} | wanted])
    :ok = Queue.bind(channel, any, source, arguments: [{"x-match", "any"} | wanted])

    for {body, headers} <- [
          {"both", wanted ++ [{"extra", true}]},
          # The width of an integer does not matter, its value does.
          {"narrow", [{"kind", "report"}, {"pages", :signedint, 3}]},
          {"kind", [{"kind", "report"}, {"pages", 4}]},
          {"pages", [{"pages", 3}]},
          {"neither", [{"kind", "note"}]}
        ] do
      equal(send_confirmed(channel, source, "", body, headers: headers), true)
    end

    equal(drain(channel, all), ["both", "narrow"])
    equal(drain(channel, any), ["both", "narrow", "kind", "pages"])
  end

  defp exchange_to_exchange(connection) do
    channel = confirming(connection)
    {source, middle, name} = {exchange(channel, :topic), exchange(channel, :fanout), queue(channel)}
    :ok = Queue.bind(channel, name, middle)
    :ok = Exchange.bind(channel, middle, source, routing_key: "log.#")
    publish_keys(channel, source, ["log.error", "trace.x", "log"])
    equal(drain(channel, name), ["log.error", "log"])
    :ok = Exchange.unbind(channel, middle, source, routing_key: "log.#")
    # The source was declared auto-delete and has lost its last binding.
    refused(channel, 404, "NOT_FOUND - no exchange '#{source}'", &Exchange.declare(&1, source, :topic, passive: true))
  end

  defp alternate(connection) do
    channel = confirming(connection)
    {spare, name, source} = {exchange(channel, :fanout), queue(channel), unique("direct")}
    :ok = Queue.bind(channel, name, spare)
    :ok = Exchange.direct(channel, source, arguments: [{"alternate-exchange", spare}])
    publish_keys(channel, source, ["nowhere"])
    equal(drain(channel, name), ["nowhere"])
    :ok = Exchange.delete(channel, source)
  end

  defp internal(connection) do
    name = unique("internal")
    :ok = connection |> channel() |> Exchange.fanout(name, internal: true)
    text = "ACCESS_REFUSED - cannot publish to internal exchange '#{name}' in vhost '/'"
    refused(channel(connection), 403, text, &AMQP.Basic.publish(&1, name, "", "x"))
    :ok = connection |> channel() |> Exchange.delete(name)
  end

  defp unbind(connection) do
    channel = confirming(connection)
    name = queue(channel)
    :ok = Queue.bind(channel, name, "amq.direct", routing_key: name)
    publish_keys(channel, "amq.direct", [name])
    equal(drain(channel, name), [name])
    :ok = Queue.unbind(channel, name, "amq.direct", routing_key: name)
    publish_keys(channel, "amq.direct", [name])
    equal(drain(channel, name), [])
  end
end
