# A work queue: tasks wait in one queue, and idle workers take them one at a time.
#
# Each worker holds at most one task that it has not acknowledged (prefetch 1), so a slow task does
# not keep quick ones waiting behind it. A task is acknowledged when it is done: had its worker died
# before that, the broker would give the task to another one.

defmodule Worker do
  alias AMQP.{Basic, Channel}

  @doc "Starts a worker process, which tells the caller of each task it has done."
  def start(connection, queue, name) do
    owner = self()
    pid = spawn_link(fn -> begin(connection, queue, name, owner) end)

    receive do
      {:ready, ^pid} -> pid
    end
  end

  defp begin(connection, queue, name, owner) do
    {:ok, channel} = Channel.open(connection)
    :ok = Basic.qos(channel, prefetch_count: 1)
    {:ok, _tag} = Basic.consume(channel, queue)
    send(owner, {:ready, self()})
    work(channel, name, owner)
  end

  defp work(channel, name, owner) do
    receive do
      {:basic_consume_ok, _} ->
        work(channel, name, owner)

      {:basic_deliver, seconds, %{delivery_tag: tag}} ->
        Process.sleep(round(String.to_float(seconds) * 1000))
        :ok = Basic.ack(channel, tag)
        IO.puts("#{name} has done #{seconds} s of work")
        send(owner, :done)
        work(channel, name, owner)

      {:stop, from} ->
        :ok = Channel.close(channel)
        send(from, {:stopped, self()})
    end
  end
end

alias AMQP.{Basic, Channel, Connection, Queue}

{:ok, connection} = Connection.open(System.get_env("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f"))
{:ok, channel} = Channel.open(connection)
queue = "example.tasks.#{System.pid()}"
{:ok, _} = Queue.declare(channel, queue, durable: true)
workers = for name <- ["worker 1", "worker 2"], do: Worker.start(connection, queue, name)

tasks = ["0.3", "0.05", "0.05", "0.05", "0.05", "0.05"]

# Persistent messages in a durable queue also survive a restart of the broker.
for seconds <- tasks, do: :ok = Basic.publish(channel, "", queue, seconds, persistent: true)

for _ <- tasks do
  receive do
    :done -> :ok
  end
end

for worker <- workers do
  send(worker, {:stop, self()})

  receive do
    {:stopped, ^worker} -> :ok
  end
end

{:ok, _} = Queue.delete(channel, queue)
:ok = Connection.close(connection)
