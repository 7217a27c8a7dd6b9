defmodule AMQP.Queue do
  @moduledoc "Operations on queues; see AMQP.Core."
  import AMQP.Core

  def declare(channel, queue \\ "", options \\ []) do
    method =
      queue_declare(
        queue: queue,
        passive: Keyword.get(options, :passive, false),
        durable: Keyword.get(options, :durable, false),
        exclusive: Keyword.get(options, :exclusive, false),
        auto_delete: Keyword.get(options, :auto_delete, false),
        arguments: options |> Keyword.get(:arguments, []) |> table()
      )

    call(channel.pid, method, :"queue.declare_ok", fn queue_declare_ok(
                                                        queue: name,
                                                        message_count: messages,
                                                        consumer_count: consumers
                                                      ) ->
      {:ok, %{queue: name, message_count: messages, consumer_count: consumers}}
    end)
  end

  def bind(channel, queue, exchange, options \\ []) do
    key = Keyword.get(options, :routing_key, "")
    arguments = options |> Keyword.get(:arguments, []) |> table()
    method = queue_bind(queue: queue, exchange: exchange, routing_key: key, arguments: arguments)
    call(channel.pid, method, :"queue.bind_ok", fn _ -> :ok end)
  end

  def unbind(channel, queue, exchange, options \\ []) do
    key = Keyword.get(options, :routing_key, "")
    arguments = options |> Keyword.get(:arguments, []) |> table()
    method = queue_unbind(queue: queue, exchange: exchange, routing_key: key, arguments: arguments)
    call(channel.pid, method, :"queue.unbind_ok", fn _ -> :ok end)
  end

  def delete(channel, queue, options \\ []) do
    if_unused = Keyword.get(options, :if_unused, false)
    if_empty = Keyword.get(options, :if_empty, false)
    method = queue_delete(queue: queue, if_unused: if_unused, if_empty: if_empty)

    call(channel.pid, method, :"queue.delete_ok", fn queue_delete_ok(message_count: count) ->
      {:ok, %{message_count: count}}
    end)
  end

  def purge(channel, queue) do
    call(channel.pid, queue_purge(queue: queue), :"queue.purge_ok", fn queue_purge_ok(message_count: count) ->
      {:ok, %{message_count: count}}
    end)
  end

  def status(channel, queue), do: declare(channel, queue, passive: true)

  def message_count(channel, queue) do
    {:ok, %{message_count: count}} = status(channel, queue)
    count
  end
end

defmodule AMQP.Exchange do
  @moduledoc "Operations on exchanges; see AMQP.Core."
  import AMQP.Core

  def declare(channel, exchange, type \\ :direct, options \\ []) do
    method =
      exchange_declare(
        exchange: exchange,
        type: Atom.to_string(type),
        passive: Keyword.get(options, :passive, false),
        durable: Keyword.get(options, :durable, false),
        auto_delete: Keyword.get(options, :auto_delete, false),
        internal: Keyword.get(options, :internal, false),
        arguments: options |> Keyword.get(:arguments, []) |> table()
      )

    call(channel.pid, method, :"exchange.declare_ok", fn _ -> :ok end)
  end

  def delete(channel, exchange, options \\ []) do
    method = exchange_delete(exchange: exchange, if_unused: Keyword.get(options, :if_unused, false))
    call(channel.pid, method, :"exchange.delete_ok", fn _ -> :ok end)
  end

  def bind(channel, destination, source, options \\ []) do
    key = Keyword.get(options, :routing_key, "")
    arguments = options |> Keyword.get(:arguments, []) |> table()
    method = exchange_bind(destination: destination, source: source, routing_key: key, arguments: arguments)
    call(channel.pid, method, :"exchange.bind_ok", fn _ -> :ok end)
  end

  def unbind(channel, destination, source, options \\ []) do
    key = Keyword.get(options, :routing_key, "")
    arguments = options |> Keyword.get(:arguments, []) |> table()
    method = exchange_unbind(destination: destination, source: source, routing_key: key, arguments: arguments)
    call(channel.pid, method, :"exchange.unbind_ok", fn _ -> :ok end)
  end

  def direct(channel, exchange, options \\ []), do: declare(channel, exchange, :direct, options)
  def fanout(channel, exchange, options \\ []), do: declare(channel, exchange, :fanout, options)
  def topic(channel, exchange, options \\ []), do: declare(channel, exchange, :topic, options)
end
