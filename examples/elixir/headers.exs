# Headers routing: bindings compare header values; 'x-match' says whether all or any must agree.

alias AMQP.{Basic, Channel, Confirm, Connection, Exchange, Queue}

{:ok, connection} = Connection.open(System.get_env("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f"))
{:ok, channel} = Channel.open(connection)
exchange = "example.documents.#{System.pid()}"
:ok = Exchange.declare(channel, exchange, :headers, auto_delete: true)

queues =
  for {title, match} <- [{"colour and A4", "all"}, {"colour or A4", "any"}] do
    {:ok, %{queue: queue}} = Queue.declare(channel, "", exclusive: true)
    # Header values have types; longstr is text.
    values = [{"x-match", :longstr, match}, {"colour", :bool, true}, {"format", :longstr, "A4"}]
    :ok = Queue.bind(channel, queue, exchange, arguments: values)
    {title, queue}
  end

# Confirms tell when all messages are in their queues.
:ok = Confirm.select(channel)

for {document, headers} <- [
      {"poster", [{"colour", :bool, true}, {"format", :longstr, "A1"}]},
      {"letter", [{"colour", :bool, false}, {"format", :longstr, "A4"}]},
      {"photo", [{"colour", :bool, true}, {"format", :longstr, "A4"}, {"pages", :long, 1}]},
      {"receipt", [{"colour", :bool, false}, {"format", :longstr, "A7"}]}
    ] do
  # The routing key plays no part here.
  :ok = Basic.publish(channel, exchange, "", document, headers: headers)
end

true = Confirm.wait_for_confirms(channel, 5)

for {title, queue} <- queues do
  documents =
    Stream.repeatedly(fn -> Basic.get(channel, queue, no_ack: true) end)
    |> Enum.take_while(&match?({:ok, _, _}, &1))
    |> Enum.map_join(", ", fn {:ok, body, _meta} -> body end)

  IO.puts("#{title}: #{documents}")
end

:ok = Connection.close(connection)
