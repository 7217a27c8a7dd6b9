defmodule Interop.Main do
  @moduledoc "Runs every check, one after another, and reports one line for each."
  alias Interop.{Connecting, Content, Declaring, Delivering, Publishing, Routing}

  @limit 15_000

  def run do
    :logger.set_primary_config(:level, :none)
    {:ok, _} = Application.ensure_all_started(:amqp_client)
    checks = Enum.flat_map([Connecting, Routing, Declaring, Delivering, Publishing, Content], & &1.checks())
    failed = Enum.count(checks, fn {name, body} -> not report(name, perform(body)) end)
    IO.puts("checks: #{length(checks)}")
    System.halt(if failed == 0, do: 0, else: 1)
  end

  defp report(name, :ok), do: IO.puts("ok #{name}") == :ok

  defp report(name, {:failed, why}) do
    IO.puts("not ok #{name}: #{String.replace(why, "\n", " ")}")
    false
  end

  # Each check is a process of its own, with a mailbox and a connection of its own.
  defp perform(body) do
    {pid, monitor} = spawn_monitor(fn -> with_connection(body) end)

    receive do
      {:DOWN, ^monitor, :process, ^pid, :normal} -> :ok
      {:DOWN, ^monitor, :process, ^pid, reason} -> {:failed, why(reason)}
    after
      @limit ->
        Process.exit(pid, :kill)
        {:failed, "timed out"}
    end
  end

  defp with_connection(body) do
    {:ok, connection} = AMQP.Connection.open(System.fetch_env!("AMQP_URL"))

    try do
      body.(connection)
    after
      if Process.alive?(connection.pid), do: AMQP.Connection.close(connection)
    end
  end

  defp why({exception, _stack}) when is_exception(exception), do: Exception.message(exception)
  defp why(reason), do: inspect(reason, limit: 20, printable_limit: 300)
end
