defmodule Interop.Content do
  @moduledoc "Properties, header field types and bodies survive the trip unchanged."
  import Interop.Harness
  alias AMQP.Basic

  def checks do
    [
      {"properties-round-trip", &properties/1},
      {"properties-absent", &absent/1},
      {"user-id-forged-406", &user_id_forged/1},
      {"expiration-invalid-406", &expiration_invalid/1},
      {"header-types-round-trip", &headers/1},
      {"body-large", &large/1},
      {"body-empty", &empty/1}
    ]
  end

  # Sends one message through a queue and fetches it again.
  defp round_trip(connection, body, options \\ []) do
    channel = confirming(connection)
    name = queue(channel)
    equal(send_confirmed(channel, "", name, body, options), true)
    {:ok, got, meta} = Basic.get(channel, name, no_ack: true)
    {got, meta}
  end

  defp properties(connection) do
    sent = [
      content_type: "text/plain",
      content_encoding: "utf-8",
      priority: 7,
      correlation_id: "corr-1",
      reply_to: "answers",
      expiration: "600000",
      message_id: "id-1",
      timestamp: 1_700_000_000,
      type: "greeting",
      user_id: "guest",
      app_id: "interop",
      cluster_id: "unused",
      persistent: true
    ]

    {_, meta} = round_trip(connection, "x", sent)
    for {name, value} <- sent, do: equal({name, Map.fetch!(meta, name)}, {name, value})
  end

  defp absent(connection) do
    {_, meta} = round_trip(connection, "x")

    for name <- [:content_type, :headers, :priority, :timestamp, :type],
        do: equal({name, meta[name]}, {name, :undefined})
  end

  defp user_id_forged(connection) do
    text = "PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was 'guest'"
    refused(channel(connection), 406, text, &Basic.publish(&1, "", unique("any"), "x", user_id: "somebody"))
  end

  defp expiration_invalid(connection) do
    text = "PRECONDITION_FAILED - invalid expiration 'soon'"
    refused(channel(connection), 406, text, &Basic.publish(&1, "", unique("any"), "x", expiration: "soon"))
  end

  defp headers(connection) do
    headers = [
      {"string", :longstr, "żółw"},
      {"empty", :longstr, ""},
      {"true", :bool, true},
      {"false", :bool, false},
      {"void", :void, :undefined},
      {"byte", :byte, -7},
      {"unsignedbyte", :unsignedbyte, 200},
      {"short", :short, -300},
      {"unsignedshort", :unsignedshort, 60_000},
      {"signedint", :signedint, -70_000},
      {"unsignedint", :unsignedint, 4_000_000_000},
      {"long", :long, -5_000_000_000},
      {"float", :float, 0.5},
      {"double", :double, 2.25},
      {"binary", :binary, <<0, 255, 10>>},
      {"decimal", :decimal, {2, 314}},
      {"timestamp", :timestamp, 1_700_000_000},
      {"array", :array,
       [longstr: "a", signedint: 1, array: [bool: true, void: :undefined], table: [{"deep", :longstr, "t"}]]},
      {"table", :table, [{"also", :longstr, "here"}, {"inner", :table, [{"most", :long, 1}]}]}
    ]

    # A broker may hand headers out in another order.
    {_, meta} = round_trip(connection, "x", headers: headers)
    for {name, _, _} = sent <- headers, do: equal(List.keyfind(meta.headers, name, 0), sent)
    equal(length(meta.headers), length(headers))
  end

  defp large(connection) do
    body = :binary.copy(:binary.list_to_bin(Enum.to_list(0..250)), 20_889)
    equal(byte_size(body) > 5 * 1024 * 1024, true)
    {got, _} = round_trip(connection, body)
    if got != body, do: raise("the body changed on the way: #{byte_size(got)} octets came back")
  end

  defp empty(connection) do
    {got, meta} = round_trip(connection, "", type: "nothing")
    equal({got, meta.type}, {"", "nothing"})
  end
end
