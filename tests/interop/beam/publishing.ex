defmodule Interop.Publishing do
  @moduledoc "Confirms, returned messages and transactions."
  import Interop.Harness
  alias AMQP.{Basic, Channel, Confirm, Queue, Tx}

  def checks do
    [
      {"confirm-single", &confirm_single/1},
      {"confirm-many", &confirm_many/1},
      {"confirm-nack-when-full", &confirm_nack/1},
      {"mandatory-return", &mandatory/1},
      {"tx-commit-rollback", &tx/1},
      {"tx-acknowledgement", &tx_acknowledgement/1},
      {"tx-on-confirm-channel-406", &tx_on_confirm/1}
    ]
  end

  defp confirm_single(connection) do
    channel = confirming(connection)
    name = queue(channel)
    equal(send_confirmed(channel, "", name, "sure", persistent: true), true)
    equal(drain(channel, name), ["sure"])
  end

  defp confirm_many(connection) do
    channel = confirming(connection)
    name = queue(channel)
    fill(channel, name, List.duplicate("x", 500))
    equal(Confirm.next_publish_seqno(channel), 501)
    equal(Queue.message_count(channel, name), 500)
  end

  defp confirm_nack(connection) do
    channel = confirming(connection)
    name = queue(channel, [{"x-max-length", 1}, {"x-overflow", "reject-publish"}])
    equal(send_confirmed(channel, "", name, "fits"), true)
    equal(send_confirmed(channel, "", name, "too much"), false)
    equal(drain(channel, name), ["fits"])
  end

  defp mandatory(connection) do
    channel = confirming(connection)
    key = unique("nowhere")
    :ok = Basic.return(channel, self())
    equal(send_confirmed(channel, "amq.direct", key, "back", mandatory: true, message_id: "m-1"), true)

    receive do
      {:basic_return, "back", meta} ->
        got = {meta.reply_code, meta.reply_text, meta.exchange, meta.routing_key, meta.message_id}
        equal(got, {312, "NO_ROUTE", "amq.direct", key, "m-1"})
    after
      5_000 -> raise("timed out: basic.return")
    end
  end

  defp tx(connection) do
    channel = channel(connection)
    name = queue(channel)
    :ok = Tx.select(channel)
    :ok = Basic.publish(channel, "", name, "dropped")
    :ok = Tx.rollback(channel)
    :ok = Basic.publish(channel, "", name, "kept")
    equal(Queue.message_count(channel(connection), name), 0)
    :ok = Tx.commit(channel)
    equal(drain(channel(connection), name), ["kept"])
  end

  defp tx_acknowledgement(connection) do
    filler = confirming(connection)
    name = queue(filler)
    fill(filler, name, ["settled", "open"])
    channel = channel(connection)
    :ok = Tx.select(channel)
    [{_, settled}, {_, open}] = channel |> consume(name) |> take(2)
    :ok = Basic.ack(channel, settled.delivery_tag)
    :ok = Tx.commit(channel)
    :ok = Basic.ack(channel, open.delivery_tag)
    :ok = Tx.rollback(channel)
    :ok = Channel.close(channel)
    equal(drain(channel(connection), name), ["open"])
  end

  defp tx_on_confirm(connection) do
    text = "PRECONDITION_FAILED - cannot switch from confirm to tx mode"
    refused(confirming(connection), 406, text, &Tx.select/1)
  end
end
