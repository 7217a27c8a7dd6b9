# Publisher confirms: knowing that the broker has taken a message, could not route it, or refused it.

alias AMQP.{Basic, Channel, Confirm, Connection, Queue}

{:ok, connection} = Connection.open(System.get_env("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f"))
{:ok, channel} = Channel.open(connection)
:ok = Confirm.select(channel)
:ok = Basic.return(channel, self())

# A queue for two messages that refuses more, instead of dropping the oldest.
limits = [{"x-max-length", :long, 2}, {"x-overflow", :longstr, "reject-publish"}]
{:ok, %{queue: queue}} = Queue.declare(channel, "", exclusive: true, arguments: limits)

# Waits for the broker's answer. 'mandatory' asks for messages back that no queue would get.
publish = fn key, text ->
  :ok = Basic.publish(channel, "", key, text, mandatory: true)
  Confirm.wait_for_confirms(channel, 5)
end

for text <- ["first", "second", "third"] do
  answer = if publish.(queue, text), do: "confirmed", else: "refused, the queue is full"
  IO.puts("#{text}: #{answer}")
end

# No queue gets this one. A return comes before its confirm.
publish.(queue <> ".misspelt", "fourth")

receive do
  {:basic_return, "fourth", meta} -> IO.puts("fourth: returned, #{meta.reply_text}")
end

:ok = Connection.close(connection)
