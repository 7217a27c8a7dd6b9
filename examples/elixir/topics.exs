# Topic routing: keys are words between dots; '*' in a binding stands for one word, '#' for any number.

alias AMQP.{Basic, Channel, Confirm, Connection, Exchange, Queue}

{:ok, connection} = Connection.open(System.get_env("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f"))
{:ok, channel} = Channel.open(connection)
exchange = "example.logs.#{System.pid()}"
:ok = Exchange.topic(channel, exchange, auto_delete: true)

queues =
  for pattern <- ["kitchen.#", "*.*.error", "garden.#", "#"] do
    {:ok, %{queue: queue}} = Queue.declare(channel, "", exclusive: true)
    :ok = Queue.bind(channel, queue, exchange, routing_key: pattern)
    {pattern, queue}
  end

# Confirms tell when all messages are in their queues.
:ok = Confirm.select(channel)

for key <- ["kitchen.oven.error", "kitchen.lamp.info", "garden.pump.error", "garden"] do
  :ok = Basic.publish(channel, exchange, key, "something happened")
end

true = Confirm.wait_for_confirms(channel, 5)

for {pattern, queue} <- queues do
  keys =
    Stream.repeatedly(fn -> Basic.get(channel, queue, no_ack: true) end)
    |> Enum.take_while(&match?({:ok, _, _}, &1))
    |> Enum.map_join(", ", fn {:ok, _body, meta} -> meta.routing_key end)

  IO.puts("#{String.pad_trailing(pattern, 10)} gets #{keys}")
end

:ok = Connection.close(connection)
