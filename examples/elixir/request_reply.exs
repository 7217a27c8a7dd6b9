# Request and reply by direct reply-to: answers come straight to the asking channel, without a queue.
#
# The client consumes from the pseudo-queue 'amq.rabbitmq.reply-to' and names it as reply-to in its
# requests; the broker replaces that by an address that leads back to this channel alone.

defmodule Squares do
  alias AMQP.{Basic, Channel, Connection, Queue}

  @reply_to "amq.rabbitmq.reply-to"

  @doc "Consumes requests in a process of its own."
  def serve(url, queue) do
    owner = self()

    spawn_link(fn ->
      {:ok, connection} = Connection.open(url)
      {:ok, channel} = Channel.open(connection)
      {:ok, _} = Queue.declare(channel, queue, auto_delete: true)
      {:ok, _tag} = Basic.consume(channel, queue)
      send(owner, :serving)
      answer(channel, connection)
    end)

    receive do
      :serving -> :ok
    end
  end

  defp answer(channel, connection) do
    receive do
      {:basic_deliver, body, meta} ->
        number = String.to_integer(body)
        # The correlation id goes back unchanged: it tells the client which answer this is.
        options = [correlation_id: meta.correlation_id]
        :ok = Basic.publish(channel, "", meta.reply_to, Integer.to_string(number * number), options)
        :ok = Basic.ack(channel, meta.delivery_tag)

      {:basic_consume_ok, _} ->
        :ok
    end

    answer(channel, connection)
  end

  def ask(url, queue, numbers) do
    {:ok, connection} = Connection.open(url)
    {:ok, channel} = Channel.open(connection)

    # Consume first, without acknowledgements, and then publish on the very same channel.
    {:ok, _tag} = Basic.consume(channel, @reply_to, nil, no_ack: true)

    for number <- numbers do
      text = Integer.to_string(number)
      :ok = Basic.publish(channel, "", queue, text, reply_to: @reply_to, correlation_id: text)
    end

    for _ <- numbers do
      receive do
        {:basic_deliver, square, %{correlation_id: number}} -> IO.puts("#{number} squared is #{square}")
      end
    end

    :ok = Connection.close(connection)
  end
end

url = System.get_env("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
queue = "example.squares.#{System.pid()}"
Squares.serve(url, queue)
Squares.ask(url, queue, 0..4)
