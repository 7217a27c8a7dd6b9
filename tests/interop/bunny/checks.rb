# Runs the checks of the Ruby client and prints the lines that 'run' counts; holds what they share.

require "bunny"
require "timeout"

$stdout.sync = true
AMQP_URL = ENV.fetch("AMQP_URL")
CHECK_SECONDS = 15
CHECKS = {}

class Failure < StandardError; end

# Registers a block; it fails by raising.
def check(name, &block)
  CHECKS[name] = block
end

# A broker-side name that no other client, run or check uses.
def unique(label)
  $number = ($number || 0) + 1
  "interop.bunny.#{Process.pid}.#{$number}.#{label}"
end

def equal(got, wanted, what = "value")
  raise Failure, "#{what}: got #{got.inspect[0, 300]}, wanted #{wanted.inspect[0, 300]}" unless got == wanted
end

# The block must raise this exception for a close with this code and exactly this text.
def closes_with(kind, code, text)
  yield
rescue kind => e
  method = e.respond_to?(:channel_close) ? e.channel_close : e.connection_close
  equal([method.reply_code, method.reply_text], [code, text], kind.name)
else
  raise Failure, "#{kind} was not raised"
end

# An open connection for one check. What it declares through 'queue' and 'exchange' is removed afterwards.
class Session
  attr_reader :connection, :channel

  def self.open(**options)
    session = new(options)
    yield session
  ensure
    session&.clean
  end

  def initialize(options)
    @connection = Bunny.new(AMQP_URL, automatically_recover: false, log_level: :fatal, **options)
    @connection.start
    @channel = @connection.create_channel
    @queues, @exchanges = [], []
  end

  def queue(label = "queue", **options)
    @queues << unique(label)
    @channel.queue(@queues.last, options)
  end

  def exchange(kind, label = "exchange", **options)
    @exchanges << unique(label)
    @channel.public_send(kind, @exchanges.last, options)
  end

  # Publishes to the default exchange and waits for the confirms, so that the queue has the messages.
  def publish(queue, *bodies, **options)
    settle { |x| bodies.each { |body| x.publish(body, options.merge(routing_key: queue.name)) } }
  end

  # Yields a confirming channel's default exchange, or the named one, and waits for the confirms.
  def settle(exchange = nil)
    channel = @connection.create_channel
    channel.confirm_select
    yield exchange ? channel.exchange(exchange.name, passive: true) : channel.default_exchange
    equal(channel.wait_for_confirms, true, "all confirmed")
    channel.close
  end

  def clean
    @connection.close if @connection.open?
    last = Bunny.new(AMQP_URL, log_level: :fatal).start
    channel = last.create_channel
    @queues.each { |name| channel.queue_delete(name) }
    @exchanges.each { |name| channel.exchange_delete(name) }
    last.close
  end
end

# Takes everything out of a queue.
def bodies(queue)
  Array.new(queue.message_count) { queue.pop.last }
end

def run_checks
  selected = CHECKS.select { |name, _| ARGV.empty? || ARGV.include?(name) }
  failed = selected.reject do |name, block|
    Timeout.timeout(CHECK_SECONDS, &block)
    puts "ok #{name}"
    true
  rescue Exception => e # rubocop:disable Lint/RescueException
    puts "not ok #{name}: #{e.class}: #{e.message}", e.backtrace.first(6)
    false
  end
  puts "checks: #{selected.size}"
  exit!(failed.empty? && !selected.empty?)
end
