defmodule Interop.Connecting do
  @moduledoc "Opening, refusing, keeping alive, losing and closing connections."
  import Interop.Harness
  alias AMQP.{Channel, Connection, Queue}
  alias Interop.Relay

  def checks do
    [
      {"connect-announces-server", &announces/1},
      {"login-refused", &login_refused/1},
      {"login-amqplain", &login_amqplain/1},
      {"vhost-unknown", &vhost_unknown/1},
      {"tune-negotiated", &tune_negotiated/1},
      {"channels-independent", &channels_independent/1},
      {"heartbeat-idle", &heartbeat_idle/1},
      {"reconnect-after-cut", &reconnect_after_cut/1},
      {"reconnect-after-close", &reconnect_after_close/1},
      {"close-clean", &close_clean/1}
    ]
  end

  defp announces(connection) do
    [server_properties: properties] = :amqp_connection.info(connection.pid, [:server_properties])
    equal(List.keyfind(properties, "product", 0), {"product", :longstr, "RabbitMQ"})
    {"version", :longstr, version} = List.keyfind(properties, "version", 0)
    equal(version =~ ~r/^\d+\.\d+/, true)
    {"capabilities", :table, capabilities} = List.keyfind(properties, "capabilities", 0)

    for name <- ~w(publisher_confirms exchange_exchange_bindings basic.nack consumer_cancel_notify connection.blocked
                   consumer_priorities authentication_failure_close per_consumer_qos direct_reply_to) do
      equal(List.keyfind(capabilities, name, 0), {name, :bool, true})
    end
  end

  defp login_refused(_) do
    {:error, {:auth_failure, text}} = Connection.open(host: host(), port: port(), password: "not-the-password")
    contains(to_string(text), "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.")
  end

  defp login_amqplain(_) do
    connection = connect(auth_mechanisms: [&:amqp_auth_mechanisms.amqplain/3])
    queue(channel(connection))
    :ok = Connection.close(connection)
  end

  # The client keeps the broker's text of a refused open for its log.
  defp vhost_unknown(_) do
    equal(Connection.open(host: host(), port: port(), virtual_host: "no-such-vhost"), {:error, :not_allowed})
  end

  defp tune_negotiated(_) do
    connection = connect(frame_max: 8192, channel_max: 5)
    equal(:amqp_connection.info(connection.pid, [:frame_max, :channel_max]), frame_max: 8192, channel_max: 5)
    channel = confirming(connection)
    name = queue(channel)
    body = String.duplicate("x", 50_000)
    fill(channel, name, [body])
    equal(drain(channel, name), [body])
    :ok = Connection.close(connection)
  end

  defp channels_independent(connection) do
    names =
      for number <- 1..50 do
        channel = channel(connection)
        name = queue(channel)
        if rem(number, 2) == 0, do: :ok = Channel.close(channel)
        name
      end

    equal(length(Enum.uniq(names)), 50)
  end

  defp heartbeat_idle(_) do
    connection = connect(heartbeat: 1)
    monitor = Process.monitor(connection.pid)

    # The time itself is what is tested: both sides must keep the link alive.
    receive do
      {:DOWN, ^monitor, :process, _, reason} -> raise("lost while idle: #{inspect(reason)}")
    after
      5_000 -> :ok
    end

    queue(channel(connection))
    :ok = Connection.close(connection)
  end

  # What was unacknowledged when the network failed comes again to the next consumer.
  defp reconnect_after_cut(steady) do
    {port, relay} = Relay.start(host(), port())
    name = unique("survivor")
    {:ok, _} = Queue.declare(channel(steady), name)
    fill(confirming(steady), name, ["kept"])

    cut_off = connect(host: "127.0.0.1", port: port)
    equal(cut_off |> channel() |> consume(name) |> take(1) |> redelivered(), [false])
    monitor = Process.monitor(cut_off.pid)
    Relay.cut(relay)

    receive do
      {:DOWN, ^monitor, :process, _, _} -> :ok
    after
      5_000 -> raise("the client did not notice the cut")
    end

    again = connect(host: "127.0.0.1", port: port)
    [{"kept", %{redelivered: true}}] = again |> channel() |> consume(name) |> take(1)
    :ok = Connection.close(again)
    {:ok, %{message_count: 1}} = Queue.delete(channel(steady), name)
    Process.unlink(relay)
    Process.exit(relay, :kill)
  end

  defp reconnect_after_close(_) do
    name = unique("handed-over")

    for body <- ["first", "second"] do
      connection = connect()
      channel = confirming(connection)
      # Exclusive queues go with their connection, so the name is free again.
      {:ok, %{message_count: 0}} = Queue.declare(channel, name, exclusive: true)
      fill(channel, name, [body])
      equal(drain(channel, name), [body])
      :ok = Connection.close(connection)
    end
  end

  defp close_clean(_) do
    connection = connect()
    monitor = Process.monitor(connection.pid)
    :ok = Channel.close(channel(connection))
    :ok = Connection.close(connection)

    receive do
      {:DOWN, ^monitor, :process, _, reason} -> equal(reason, {:shutdown, :normal})
    after
      5_000 -> raise("timed out: the connection's end")
    end
  end
end
