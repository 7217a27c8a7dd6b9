defmodule AMQP.Confirm do
  @moduledoc "Publisher confirms; see AMQP.Core."
  import AMQP.Core

  def select(channel), do: call(channel.pid, confirm_select(), :"confirm.select_ok", fn _ -> :ok end)
  def wait_for_confirms(channel, seconds), do: :amqp_channel.wait_for_confirms(channel.pid, seconds)
  def next_publish_seqno(channel), do: :amqp_channel.next_publish_seqno(channel.pid)

  @doc "The handler process receives {:basic_ack | :basic_nack, tag, multiple}."
  def register_handler(channel, handler) do
    :amqp_channel.register_confirm_handler(channel.pid, AMQP.Basic.translator(channel, handler))
  end
end

defmodule AMQP.Tx do
  @moduledoc "Transactions; see AMQP.Core."
  import AMQP.Core

  def select(channel), do: call(channel.pid, tx_select(), :"tx.select_ok", fn _ -> :ok end)
  def commit(channel), do: call(channel.pid, tx_commit(), :"tx.commit_ok", fn _ -> :ok end)
  def rollback(channel), do: call(channel.pid, tx_rollback(), :"tx.rollback_ok", fn _ -> :ok end)
end
