defmodule AMQP.Core do
  @moduledoc """
  Stand-in for the Hex package 'amqp', which Debian does not ship: the modules
  in this directory have the names and shapes of its functions and, like it,
  only turn them into calls of the Erlang client. This one makes the client's
  records, such as `basic_publish(...)`, out of its header files.
  """
  require Record

  for {tag, fields} <- Record.extract_all(from_lib: "amqp_client/include/amqp_client.hrl"),
      name = tag |> Atom.to_string() |> String.downcase() |> String.replace([".", "-"], "_") |> String.to_atom(),
      String.contains?(Atom.to_string(tag), ".") or name in [:p_basic, :amqp_msg, :amqp_params_network] do
    Record.defrecord(name, tag, fields)
  end

  @doc "Field tables: shorthand pairs get the type their value suggests."
  def table(:undefined), do: :undefined
  def table(fields), do: Enum.map(fields, &field/1)

  defp field({name, type, value}), do: {to_string(name), type, value}
  defp field({name, value}) when is_boolean(value), do: {to_string(name), :bool, value}
  defp field({name, value}) when is_binary(value), do: {to_string(name), :longstr, value}
  defp field({name, value}) when is_integer(value), do: {to_string(name), :long, value}
  defp field({name, value}) when is_float(value), do: {to_string(name), :float, value}

  @doc "Calls the channel and expects a reply of this record, or nothing."
  def call(pid, method, reply, result) do
    case :amqp_channel.call(pid, method) do
      ^reply -> :ok
      answer when is_tuple(answer) and elem(answer, 0) == reply -> result.(answer)
      other -> {:error, other}
    end
  end
end
