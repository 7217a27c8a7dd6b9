defmodule Interop.Relay do
  @moduledoc """
  A TCP relay in front of the broker whose connections can be cut, so that a
  client sees a network failure the broker did not announce.
  """

  @options [:binary, active: true, nodelay: true]

  @doc "Starts a relay linked to the caller; returns its port and process."
  def start(host, port) do
    {:ok, listener} = :gen_tcp.listen(0, [ip: {127, 0, 0, 1}] ++ @options)
    {:ok, chosen} = :inet.port(listener)
    relay = spawn_link(fn -> accept(listener, host, port, []) end)
    :ok = :gen_tcp.controlling_process(listener, relay)
    {chosen, relay}
  end

  @doc "Drops every connection; new ones are still accepted."
  def cut(relay), do: send(relay, :cut)

  defp accept(listener, host, port, pairs) do
    receive do
      :cut ->
        Enum.each(pairs, &Process.exit(&1, :kill))
        accept(listener, host, port, [])
    after
      0 ->
        case :gen_tcp.accept(listener, 50) do
          {:ok, near} -> accept(listener, host, port, [pair(near, host, port) | pairs])
          {:error, :timeout} -> accept(listener, host, port, pairs)
        end
    end
  end

  # Sockets belong to the process that relays them and close when it ends.
  defp pair(near, host, port) do
    relaying =
      spawn(fn ->
        receive do
          :go -> :ok
        end

        {:ok, far} = :gen_tcp.connect(to_charlist(host), port, @options)
        relay(near, far)
      end)

    :ok = :gen_tcp.controlling_process(near, relaying)
    send(relaying, :go)
    relaying
  end

  defp relay(near, far) do
    receive do
      {:tcp, ^near, data} -> :gen_tcp.send(far, data)
      {:tcp, ^far, data} -> :gen_tcp.send(near, data)
      {:tcp_closed, _} -> exit(:normal)
      {:tcp_error, _, _} -> exit(:normal)
    end

    relay(near, far)
  end
end
