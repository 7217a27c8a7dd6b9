defmodule AMQP.Connection do
  @moduledoc "Opening and closing connections; see AMQP.Core."
  import AMQP.Core
  defstruct [:pid]

  @doc "Opens a connection from a URI, or from options."
  def open(options \\ [])

  def open(uri) when is_binary(uri) do
    with {:ok, parameters} <- uri |> to_charlist() |> :amqp_uri.parse(), do: start(parameters)
  end

  def open(options) when is_list(options) do
    start(
      amqp_params_network(
        username: Keyword.get(options, :username, "guest"),
        password: Keyword.get(options, :password, "guest"),
        virtual_host: Keyword.get(options, :virtual_host, "/"),
        host: options |> Keyword.get(:host, "localhost") |> to_charlist(),
        port: Keyword.get(options, :port, :undefined),
        channel_max: Keyword.get(options, :channel_max, 0),
        frame_max: Keyword.get(options, :frame_max, 0),
        heartbeat: Keyword.get(options, :heartbeat, 10),
        connection_timeout: Keyword.get(options, :connection_timeout, 50_000),
        client_properties: Keyword.get(options, :client_properties, []),
        auth_mechanisms: Keyword.get(options, :auth_mechanisms, [&:amqp_auth_mechanisms.plain/3])
      )
    )
  end

  def close(%__MODULE__{pid: pid}) do
    case :amqp_connection.close(pid) do
      :ok -> :ok
      error -> {:error, error}
    end
  end

  defp start(parameters) do
    with {:ok, pid} <- :amqp_connection.start(parameters), do: {:ok, %__MODULE__{pid: pid}}
  end
end

defmodule AMQP.Channel do
  @moduledoc "Opening and closing channels; see AMQP.Core."
  defstruct [:conn, :pid]

  def open(%AMQP.Connection{} = connection) do
    case :amqp_connection.open_channel(connection.pid) do
      {:ok, pid} -> {:ok, %__MODULE__{conn: connection, pid: pid}}
      error -> {:error, error}
    end
  end

  def close(%__MODULE__{pid: pid}) do
    case :amqp_channel.close(pid) do
      :ok -> :ok
      error -> {:error, error}
    end
  end
end
