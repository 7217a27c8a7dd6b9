# Publish and subscribe: a fanout exchange copies each message into every queue bound to it.

alias AMQP.{Basic, Channel, Connection, Exchange, Queue}

{:ok, connection} = Connection.open(System.get_env("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f"))
{:ok, channel} = Channel.open(connection)
exchange = "example.news.#{System.pid()}"
news = ["spring is here", "the clover is up"]
:ok = Exchange.fanout(channel, exchange, auto_delete: true)

# A subscriber's own queue. What was published before it was bound is not for it.
subscribe = fn name ->
  {:ok, own} = Channel.open(connection)
  {:ok, %{queue: queue}} = Queue.declare(own, "", exclusive: true)
  :ok = Queue.bind(own, queue, exchange)

  Task.async(fn ->
    {:ok, _tag} = Basic.consume(own, queue, self(), no_ack: true)

    for _ <- news do
      receive do
        {:basic_deliver, body, _meta} -> IO.puts("#{name}: #{body}")
      end
    end
  end)
end

subscribers = Enum.map(["Anna", "Boris"], subscribe)

# The publisher names the exchange only: it need not know who listens.
for text <- news, do: :ok = Basic.publish(channel, exchange, "", text)

Task.await_many(subscribers)
:ok = Connection.close(connection)
