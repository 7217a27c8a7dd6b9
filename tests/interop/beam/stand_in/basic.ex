defmodule AMQP.Basic do
  @moduledoc "Publishing, consuming and acknowledging; see AMQP.Core."
  import AMQP.Core

  @properties ~w(content_type content_encoding priority correlation_id reply_to expiration message_id timestamp type
                 user_id app_id cluster_id)a

  def publish(channel, exchange, routing_key, payload, options \\ []) do
    method =
      basic_publish(
        exchange: exchange,
        routing_key: routing_key,
        mandatory: Keyword.get(options, :mandatory, false),
        immediate: Keyword.get(options, :immediate, false)
      )

    case :amqp_channel.call(channel.pid, method, amqp_msg(props: properties(options), payload: payload)) do
      :ok -> :ok
      error -> {:error, error}
    end
  end

  def qos(channel, options \\ []) do
    method =
      basic_qos(prefetch_count: Keyword.get(options, :prefetch_count, 0), global: Keyword.get(options, :global, false))

    call(channel.pid, method, :"basic.qos_ok", fn _ -> :ok end)
  end

  def ack(channel, tag, options \\ []) do
    cast(channel, basic_ack(delivery_tag: tag, multiple: Keyword.get(options, :multiple, false)))
  end

  def nack(channel, tag, options \\ []) do
    multiple = Keyword.get(options, :multiple, false)
    cast(channel, basic_nack(delivery_tag: tag, multiple: multiple, requeue: Keyword.get(options, :requeue, true)))
  end

  def reject(channel, tag, options \\ []) do
    cast(channel, basic_reject(delivery_tag: tag, requeue: Keyword.get(options, :requeue, true)))
  end

  def recover(channel, options \\ []) do
    method = basic_recover(requeue: Keyword.get(options, :requeue, false))
    call(channel.pid, method, :"basic.recover_ok", fn _ -> :ok end)
  end

  def get(channel, queue, options \\ []) do
    case :amqp_channel.call(channel.pid, basic_get(queue: queue, no_ack: Keyword.get(options, :no_ack, false))) do
      basic_get_empty(cluster_id: id) ->
        {:empty, %{cluster_id: id}}

      {basic_get_ok() = got, amqp_msg(props: properties, payload: payload)} ->
        {:ok, payload, Map.merge(meta(properties), Map.new(basic_get_ok(got)))}

      error ->
        {:error, error}
    end
  end

  @doc "The consumer process receives :basic_consume_ok, :basic_deliver, :basic_cancel and :basic_cancel_ok tuples."
  def consume(channel, queue, consumer \\ nil, options \\ []) do
    method =
      basic_consume(
        queue: queue,
        consumer_tag: Keyword.get(options, :consumer_tag, ""),
        no_ack: Keyword.get(options, :no_ack, false),
        exclusive: Keyword.get(options, :exclusive, false),
        arguments: options |> Keyword.get(:arguments, []) |> table()
      )

    case :amqp_channel.subscribe(channel.pid, method, translator(channel, consumer || self())) do
      basic_consume_ok(consumer_tag: tag) -> {:ok, tag}
      error -> {:error, error}
    end
  end

  def cancel(channel, tag, _options \\ []) do
    call(channel.pid, basic_cancel(consumer_tag: tag), :"basic.cancel_ok", fn _ -> {:ok, tag} end)
  end

  @doc "The handler process receives {:basic_return, payload, meta}."
  def return(channel, handler) do
    :amqp_channel.register_return_handler(channel.pid, translator(channel, handler))
  end

  @doc false
  # The Erlang client sends records; whoever asked gets plain tuples and maps.
  def translator(channel, owner) do
    spawn(fn ->
      Process.monitor(channel.pid)
      Process.monitor(owner)
      translate(owner)
    end)
  end

  defp translate(owner) do
    receive do
      {:DOWN, _, :process, _, _} -> :ok
      message -> send(owner, plain(message)) && translate(owner)
    end
  end

  defp plain(basic_consume_ok(consumer_tag: tag)), do: {:basic_consume_ok, %{consumer_tag: tag}}
  defp plain(basic_cancel_ok(consumer_tag: tag)), do: {:basic_cancel_ok, %{consumer_tag: tag}}

  defp plain(basic_cancel(consumer_tag: tag, nowait: no_wait)),
    do: {:basic_cancel, %{consumer_tag: tag, no_wait: no_wait}}

  defp plain(basic_ack(delivery_tag: tag, multiple: multiple)), do: {:basic_ack, tag, multiple}
  defp plain(basic_nack(delivery_tag: tag, multiple: multiple)), do: {:basic_nack, tag, multiple}

  defp plain({basic_deliver() = method, amqp_msg(props: properties, payload: payload)}) do
    {:basic_deliver, payload, Map.merge(meta(properties), Map.new(basic_deliver(method)))}
  end

  defp plain({basic_return() = method, amqp_msg(props: properties, payload: payload)}) do
    {:basic_return, payload, Map.merge(meta(properties), Map.new(basic_return(method)))}
  end

  defp meta(properties) do
    fields = Map.new(p_basic(properties))
    Map.put(fields, :persistent, fields.delivery_mode == 2)
  end

  defp properties(options) do
    given = Enum.filter(options, fn {name, _} -> name in @properties end)
    headers = options |> Keyword.get(:headers, :undefined) |> table()
    mode = if options[:persistent], do: 2, else: 1

    Enum.reduce(given, p_basic(headers: headers, delivery_mode: mode), fn {name, value}, record ->
      set(record, name, value)
    end)
  end

  for name <- @properties do
    defp set(record, unquote(name), value), do: p_basic(record, [{unquote(name), value}])
  end

  defp cast(channel, method) do
    case :amqp_channel.call(channel.pid, method) do
      :ok -> :ok
      error -> {:error, error}
    end
  end
end
