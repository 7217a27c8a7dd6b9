defmodule Interop.Declaring do
  @moduledoc "Declaring and deleting queues and exchanges, and what is refused."
  import Interop.Harness
  alias AMQP.{Basic, Connection, Exchange, Queue}

  def checks do
    [
      {"queue-server-named", &server_named/1},
      {"queue-counts", &counts/1},
      {"queue-passive-404", &queue_passive/1},
      {"queue-inequivalent-406", &queue_inequivalent/1},
      {"queue-argument-invalid-406", &argument_invalid/1},
      {"queue-exclusive-405", &exclusive/1},
      {"queue-reserved-403", &reserved/1},
      {"queue-delete-conditions", &delete_conditions/1},
      {"queue-auto-delete", &auto_delete/1},
      {"exchange-passive-404", &exchange_passive/1},
      {"exchange-inequivalent-406", &exchange_inequivalent/1},
      {"publish-missing-exchange-404", &publish_missing/1},
      {"channel-error-isolated", &isolated/1}
    ]
  end

  defp server_named(connection) do
    channel = channel(connection)
    {:ok, %{queue: first}} = Queue.declare(channel, "", exclusive: true)
    {:ok, %{queue: second}} = Queue.declare(channel, "", exclusive: true)
    equal(String.starts_with?(first, "amq.gen-"), true)
    equal(first == second, false)
  end

  defp counts(connection) do
    channel = confirming(connection)
    name = queue(channel)
    fill(channel, name, ["a", "b", "c"])
    equal(Queue.status(channel, name), {:ok, %{queue: name, message_count: 3, consumer_count: 0}})
    equal(Queue.purge(channel, name), {:ok, %{message_count: 3}})
    fill(channel, name, ["d"])
    equal(Queue.delete(channel, name), {:ok, %{message_count: 1}})
    equal(Queue.delete(channel, name), {:ok, %{message_count: 0}})
  end

  defp queue_passive(connection) do
    name = unique("missing")
    refused(channel(connection), 404, "NOT_FOUND - no queue '#{name}' in vhost '/'", &Queue.status(&1, name))
  end

  defp queue_inequivalent(connection) do
    name = unique("declared")
    {:ok, _} = Queue.declare(channel(connection), name, arguments: [{"x-max-length", 5}])
    prefix = "PRECONDITION_FAILED - inequivalent arg"

    for {argument, told, options} <- [
          {"durable", "received 'true' but current is 'false'", [durable: true, arguments: [{"x-max-length", 5}]]},
          {"x-max-length", "received '6' but current is '5'", [arguments: [{"x-max-length", 6}]]},
          {"x-max-length", "received none but current is the value '5' of type 'long'", []}
        ] do
      text = "#{prefix} '#{argument}' for queue '#{name}' in vhost '/': #{told}"
      refused(channel(connection), 406, text, &Queue.declare(&1, name, options))
    end

    # Another integer width with the same value is equivalent.
    {:ok, _} = Queue.declare(channel(connection), name, arguments: [{"x-max-length", :signedint, 5}])
    {:ok, _} = Queue.delete(channel(connection), name)
  end

  defp argument_invalid(connection) do
    name = unique("bad")
    options = [exclusive: true, arguments: [{"x-message-ttl", "soon"}]]
    text = "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '#{name}' in vhost '/'"
    refused(channel(connection), 406, text, &Queue.declare(&1, name, options))
  end

  defp exclusive(connection) do
    name = queue(channel(connection))
    stranger = connect()
    text = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '#{name}' in vhost '/'"
    refused(channel(stranger), 405, text, &Queue.status(&1, name))
    refused(channel(stranger), 405, text, &Basic.get(&1, name))
    :ok = Connection.close(stranger)
  end

  defp reserved(connection) do
    queue = "ACCESS_REFUSED - queue name 'amq.interop' contains reserved prefix 'amq.*'"
    refused(channel(connection), 403, queue, &Queue.declare(&1, "amq.interop"))
    exchange = "ACCESS_REFUSED - exchange name 'amq.interop' contains reserved prefix 'amq.*'"
    refused(channel(connection), 403, exchange, &Exchange.declare(&1, "amq.interop"))
  end

  defp delete_conditions(connection) do
    name = queue(channel(connection))
    fill(confirming(connection), name, ["x"])
    not_empty = "PRECONDITION_FAILED - queue '#{name}' in vhost '/' not empty"
    refused(channel(connection), 406, not_empty, &Queue.delete(&1, name, if_empty: true))
    consume(channel(connection), name)
    in_use = "PRECONDITION_FAILED - queue '#{name}' in vhost '/' in use"
    refused(channel(connection), 406, in_use, &Queue.delete(&1, name, if_unused: true))
  end

  defp auto_delete(connection) do
    channel = channel(connection)
    {:ok, %{queue: name}} = Queue.declare(channel, unique("auto"), auto_delete: true)
    tag = consume(channel, name)
    {:ok, ^tag} = Basic.cancel(channel, tag)
    refused(channel, 404, "NOT_FOUND - no queue '#{name}'", &Queue.status(&1, name))
  end

  defp exchange_passive(connection) do
    name = unique("missing")
    text = "NOT_FOUND - no exchange '#{name}' in vhost '/'"
    refused(channel(connection), 404, text, &Exchange.declare(&1, name, :direct, passive: true))
  end

  defp exchange_inequivalent(connection) do
    name = unique("x")
    :ok = connection |> channel() |> Exchange.direct(name)

    text =
      "PRECONDITION_FAILED - inequivalent arg 'type' for exchange '#{name}' in vhost '/': " <>
        "received 'fanout' but current is 'direct'"

    refused(channel(connection), 406, text, &Exchange.fanout(&1, name))
    :ok = connection |> channel() |> Exchange.delete(name)
  end

  defp publish_missing(connection) do
    name = unique("missing")
    text = "NOT_FOUND - no exchange '#{name}' in vhost '/'"
    refused(channel(connection), 404, text, &Basic.publish(&1, name, "k", "lost"))
  end

  defp isolated(connection) do
    healthy = channel(connection)
    name = queue(healthy)
    refused(channel(connection), 404, "NOT_FOUND", &Queue.status(&1, unique("missing")))
    {:ok, _} = Queue.status(healthy, name)
    {:ok, _} = Queue.status(channel(connection), name)
  end
end
