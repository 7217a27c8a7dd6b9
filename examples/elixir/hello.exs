# The smallest exchange of a message: into a queue by its name, and out again.

alias AMQP.{Basic, Channel, Connection, Queue}

{:ok, connection} = Connection.open(System.get_env("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f"))
{:ok, channel} = Channel.open(connection)

# An empty name lets the broker choose one; 'exclusive' removes the queue with this connection.
{:ok, %{queue: queue}} = Queue.declare(channel, "", exclusive: true)
{:ok, _tag} = Basic.consume(channel, queue, nil, no_ack: true)

# The default exchange, "", takes the routing key for a queue's name.
:ok = Basic.publish(channel, "", queue, "Hello, hare!")

# Deliveries are messages to the process that consumes.
receive do
  {:basic_deliver, body, _meta} -> IO.puts("received: #{body}")
end

:ok = Connection.close(connection)
