defmodule Interop.Delivering do
  @moduledoc "Consuming: prefetch, acknowledgement, redelivery, cancellation, priorities."
  import Interop.Harness
  alias AMQP.{Basic, Channel, Queue}

  def checks do
    [
      {"prefetch-exact", &prefetch/1},
      {"prefetch-shared", &prefetch_shared/1},
      {"ack-settles", &ack/1},
      {"nack-requeue-redelivered", &nack/1},
      {"reject-dead-letters", &reject/1},
      {"ttl-dead-letters", &ttl/1},
      {"recover-redelivers", &recover/1},
      {"ack-unknown-406", &ack_unknown/1},
      {"get-and-empty", &get/1},
      {"consume-no-ack", &no_ack/1},
      {"consume-exclusive-403", &exclusive/1},
      {"consumer-cancelled-on-delete", &cancelled_on_delete/1},
      {"consumer-cancel-stops", &cancel_stops/1},
      {"consumer-priority", &consumer_priority/1},
      {"rpc-direct-reply-to", &rpc/1},
      {"order-kept", &order/1}
    ]
  end

  defp digits, do: Enum.map(0..9, &Integer.to_string/1)

  defp prefetch(connection) do
    channel = confirming(connection)
    name = queue(channel)
    fill(channel, name, digits())
    :ok = Basic.qos(channel, prefetch_count: 3)
    tag = consume(channel, name)
    [_, {_, second}, _] = take(tag, 3)
    # What is no longer ready has been delivered, so this is exact.
    equal(Queue.message_count(channel, name), 7)
    :ok = Basic.ack(channel, second.delivery_tag, multiple: true)
    equal(bodies(take(tag, 2)), ["3", "4"])
    equal(Queue.message_count(channel, name), 5)
  end

  defp prefetch_shared(connection) do
    channel = confirming(connection)
    name = queue(channel)
    fill(channel, name, digits())
    :ok = Basic.qos(channel, prefetch_count: 3, global: true)
    consume(channel, name)
    consume(channel, name)
    # The limit is the channel's: three in all, however they are shared out.
    for number <- 1..3 do
      receive do
        {:basic_deliver, _, _} -> :ok
      after
        5_000 -> raise("timed out: delivery #{number}")
      end
    end

    equal(Queue.message_count(channel, name), 7)
  end

  defp ack(connection) do
    channel = confirming(connection)
    name = queue(channel)
    fill(channel, name, ["a", "b"])
    [{"a", first}, _] = channel |> consume(name) |> take(2)
    :ok = Basic.ack(channel, first.delivery_tag)
    :ok = Channel.close(channel)
    other = channel(connection)
    {:ok, "b", %{redelivered: true}} = Basic.get(other, name, no_ack: true)
    equal(drain(other, name), [])
  end

  defp nack(connection) do
    channel = confirming(connection)
    name = queue(channel)
    fill(channel, name, ["one", "two", "three"])
    tag = consume(channel, name)
    [_, _, {_, last}] = held = take(tag, 3)
    equal(redelivered(held), [false, false, false])
    :ok = Basic.nack(channel, last.delivery_tag, multiple: true)
    again = take(tag, 3)
    equal(bodies(again), ["one", "two", "three"])
    equal(redelivered(again), [true, true, true])
  end

  defp dead_lettering(channel, more \\ []) do
    grave = queue(channel)
    name = queue(channel, [{"x-dead-letter-exchange", ""}, {"x-dead-letter-routing-key", grave} | more])
    {name, consume(channel, grave, no_ack: true)}
  end

  defp death(headers) do
    {"x-death", :array, [{:table, death}]} = List.keyfind(headers, "x-death", 0)
    Map.new(death, fn {key, _type, value} -> {key, value} end)
  end

  defp reject(connection) do
    channel = confirming(connection)
    {name, tag} = dead_lettering(channel)
    fill(channel, name, ["bad"])
    {:ok, "bad", message} = Basic.get(channel, name)
    :ok = Basic.reject(channel, message.delivery_tag, requeue: false)
    [{"bad", dead}] = take(tag, 1)
    %{"reason" => "rejected", "queue" => ^name, "count" => 1} = death(dead.headers)
    equal(List.keyfind(dead.headers, "x-first-death-queue", 0), {"x-first-death-queue", :longstr, name})
  end

  defp ttl(connection) do
    channel = channel(connection)
    {name, tag} = dead_lettering(channel, [{"x-message-ttl", 50}])
    :ok = Basic.publish(channel, "", name, "late")
    [{"late", dead}] = take(tag, 1)
    equal(death(dead.headers)["reason"], "expired")
  end

  defp recover(connection) do
    channel = confirming(connection)
    name = queue(channel)
    fill(channel, name, ["again"])
    tag = consume(channel, name)
    take(tag, 1)
    :ok = Basic.recover(channel, requeue: true)
    equal(redelivered(take(tag, 1)), [true])
  end

  defp ack_unknown(connection) do
    refused(channel(connection), 406, "PRECONDITION_FAILED - unknown delivery tag 42", &Basic.ack(&1, 42))
  end

  defp get(connection) do
    channel = confirming(connection)
    name = queue(channel)
    fill(channel, name, ["a", "b"])
    {:ok, "a", message} = Basic.get(channel, name)
    equal({message.message_count, message.exchange, message.routing_key}, {1, "", name})
    :ok = Basic.ack(channel, message.delivery_tag)
    equal(drain(channel, name), ["b"])
  end

  defp no_ack(connection) do
    channel = confirming(connection)
    name = queue(channel)
    fill(channel, name, ["a", "b", "c"])
    equal(channel |> consume(name, no_ack: true) |> take(3) |> bodies(), ["a", "b", "c"])
    :ok = Channel.close(channel)
    equal(Queue.message_count(channel(connection), name), 0)
  end

  defp exclusive(connection) do
    channel = channel(connection)
    name = queue(channel)
    consume(channel, name, exclusive: true)
    text = "ACCESS_REFUSED - queue '#{name}' in vhost '/' in exclusive use"
    refused(channel(connection), 403, text, &Basic.consume(&1, name))
  end

  defp cancelled_on_delete(connection) do
    channel = channel(connection)
    name = queue(channel)
    tag = consume(channel, name, consumer_tag: "watching")
    {:ok, _} = Queue.delete(channel(connection), name)

    receive do
      {:basic_cancel, %{consumer_tag: ^tag}} -> :ok
    after
      5_000 -> raise("timed out: basic.cancel")
    end

    # The channel outlives its consumer.
    queue(channel)
  end

  defp cancel_stops(connection) do
    channel = confirming(connection)
    name = queue(channel)
    tag = consume(channel, name)
    equal(String.starts_with?(tag, "amq.ctag-"), true)
    {:ok, ^tag} = Basic.cancel(channel, tag)
    fill(channel, name, ["kept"])
    equal(drain(channel, name), ["kept"])
  end

  defp consumer_priority(connection) do
    {sender, low, high} = {confirming(connection), channel(connection), channel(connection)}
    name = queue(sender)
    :ok = Basic.qos(high, prefetch_count: 2)
    second = consume(low, name, consumer_tag: "low", arguments: [{"x-priority", 1}])
    first = consume(high, name, consumer_tag: "high", arguments: [{"x-priority", 10}])
    fill(sender, name, ["0", "1", "2", "3"])
    equal(bodies(take(first, 2)), ["0", "1"])
    equal(bodies(take(second, 2)), ["2", "3"])
  end

  defp rpc(connection) do
    {server, client} = {channel(connection), channel(connection)}
    requests = queue(server)
    incoming = consume(server, requests, no_ack: true)
    replies = consume(client, "amq.rabbitmq.reply-to", no_ack: true)

    for {id, value} <- [{"c1", 21}, {"c2", 4}] do
      options = [reply_to: "amq.rabbitmq.reply-to", correlation_id: id]
      :ok = Basic.publish(client, "", requests, Integer.to_string(value), options)
    end

    for {body, request} <- take(incoming, 2) do
      answer = Integer.to_string(String.to_integer(body) * 2)
      :ok = Basic.publish(server, "", request.reply_to, answer, correlation_id: request.correlation_id)
    end

    answers = take(replies, 2)
    equal(bodies(answers), ["42", "8"])
    equal(Enum.map(answers, fn {_, meta} -> meta.correlation_id end), ["c1", "c2"])
  end

  defp order(connection) do
    channel = channel(connection)
    name = queue(channel)
    tag = consume(channel, name, no_ack: true)
    sent = Enum.map(1..2000, &Integer.to_string/1)
    for body <- sent, do: :ok = Basic.publish(channel, "", name, body)
    equal(bodies(take(tag, 2000)), sent)
  end
end
