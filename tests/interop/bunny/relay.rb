# A TCP relay in front of the broker, so that a check can break a connection under its client.

require "socket"

class Relay
  attr_reader :url

  def initialize
    @listener = TCPServer.new("127.0.0.1", 0)
    @sockets, @lock = [], Mutex.new
    @url = AMQP_URL.sub("#{ENV.fetch("AMQP_HOST")}:#{ENV.fetch("AMQP_PORT")}", "127.0.0.1:#{@listener.addr[1]}")
    Thread.new { loop { join(@listener.accept, TCPSocket.new(ENV.fetch("AMQP_HOST"), ENV.fetch("AMQP_PORT"))) } }
          .report_on_exception = false
  end

  # Breaks every connection that runs through here; new ones are still accepted.
  def cut
    sockets = @lock.synchronize { @sockets.slice!(0..) }
    sockets.each { |socket| shut(socket) }
  end

  def close
    @listener.close
    cut
  end

  private

  def join(client, broker)
    @lock.synchronize { @sockets.push(client, broker) }
    [[client, broker], [broker, client]].each { |from, to| Thread.new { pump(from, to) } }
  end

  def pump(from, to)
    loop { to.write(from.readpartial(65_536)) }
  rescue IOError, SystemCallError
    [from, to].each { |socket| shut(socket) }
  end

  def shut(socket)
    socket.shutdown
  rescue IOError, SystemCallError
    nil
  end
end
