defmodule Interop.Harness do
  @moduledoc "What the check modules share: names, queues, and waiting for events."
  alias AMQP.{Basic, Channel, Confirm, Connection, Queue}

  @wait 5_000

  def url, do: System.fetch_env!("AMQP_URL")
  def host, do: System.fetch_env!("AMQP_HOST")
  def port, do: "AMQP_PORT" |> System.fetch_env!() |> String.to_integer()

  @doc "A name no other run uses."
  def unique(what), do: "interop.beam-#{System.pid()}.#{what}.#{System.unique_integer([:positive])}-#{System.os_time()}"

  def equal(got, want) do
    if got != want, do: raise("got #{inspect(got)}, want #{inspect(want)}")
  end

  def contains(text, part) do
    unless String.contains?(text, part), do: raise("text was: #{text}")
  end

  def connect(options \\ []) do
    {:ok, connection} = [host: host(), port: port()] |> Keyword.merge(options) |> Connection.open()
    connection
  end

  def channel(connection) do
    {:ok, channel} = Channel.open(connection)
    channel
  end

  def confirming(connection) do
    channel = channel(connection)
    :ok = Confirm.select(channel)
    channel
  end

  @doc "An exclusive queue with a name of its own."
  def queue(channel, arguments \\ []) do
    {:ok, %{queue: name}} = Queue.declare(channel, unique("q"), exclusive: true, arguments: arguments)
    name
  end

  @doc "Publishes on a confirm channel and waits; true when the broker took it."
  def send_confirmed(channel, exchange, key, body, options \\ []) do
    :ok = Basic.publish(channel, exchange, key, body, options)
    Confirm.wait_for_confirms(channel, 5)
  end

  def fill(channel, queue, bodies) do
    for body <- bodies, do: :ok = Basic.publish(channel, "", queue, body)
    equal(Confirm.wait_for_confirms(channel, 5), true)
  end

  @doc "Bodies of all the queue holds, fetched with basic.get."
  def drain(channel, queue) do
    case Basic.get(channel, queue, no_ack: true) do
      {:ok, body, _} -> [body | drain(channel, queue)]
      {:empty, _} -> []
    end
  end

  @doc "Starts a consumer whose messages come to this process."
  def consume(channel, queue, options \\ []) do
    {:ok, tag} = Basic.consume(channel, queue, self(), options)

    receive do
      {:basic_consume_ok, %{consumer_tag: ^tag}} -> tag
    after
      @wait -> raise("timed out: consume-ok")
    end
  end

  @doc "The next deliveries of this consumer, as {body, meta} pairs."
  def take(tag, count) do
    for number <- 1..count do
      receive do
        {:basic_deliver, body, %{consumer_tag: ^tag} = meta} -> {body, meta}
      after
        @wait -> raise("timed out: delivery #{number} of #{count}")
      end
    end
  end

  def bodies(deliveries), do: Enum.map(deliveries, &elem(&1, 0))
  def redelivered(deliveries), do: Enum.map(deliveries, fn {_, meta} -> meta.redelivered end)

  @doc "Expects the broker to close the channel with this code and text."
  def refused(channel, code, text, action) do
    monitor = Process.monitor(channel.pid)

    # The caller of a refused method exits; the channel's own end tells why.
    try do
      action.(channel)
    catch
      :exit, _ -> :ok
    end

    receive do
      {:DOWN, ^monitor, :process, _, {:shutdown, {:server_initiated_close, got, reason}}} ->
        equal(got, code)
        contains(reason, text)

      {:DOWN, ^monitor, :process, _, other} ->
        raise("expected #{code}, got #{inspect(other)}")
    after
      @wait -> raise("expected #{code}, but the channel stayed open")
    end
  end
end
