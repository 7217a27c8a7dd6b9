"""TLS by Python's ssl, which is OpenSSL: messages through it, logins by certificate, refusals."""

import os
import ssl

import pika
from pika.credentials import ExternalCredentials

from checks import AMQP_HOST, check, contains, equal, unique

# Set by 'run' for a broker that it started itself.
PORT = int(os.environ.get("AMQPS_PORT") or 0)
FILES = os.environ.get("AMQPS_CERTIFICATES", "")


def context(certificate=None, newest=None):
    """What a client trusts and shows."""
    wanted = ssl.create_default_context(cafile=f"{FILES}/ca.pem")
    if certificate:
        wanted.load_cert_chain(f"{FILES}/{certificate}.pem", f"{FILES}/{certificate}.key")
    if newest:
        wanted.maximum_version = newest
    return wanted


def connect(wanted, credentials=None):
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            AMQP_HOST,
            PORT,
            credentials=credentials or pika.PlainCredentials("guest", "guest"),
            ssl_options=pika.SSLOptions(wanted, "localhost"),
        )
    )


def fails(wanted, credentials=None):
    """The words of the error that connecting ends with."""
    try:
        connect(wanted, credentials).close()
    except Exception as error:  # pika wraps what the TLS library says in several ways
        return repr(error)
    raise AssertionError("it connected")


def messages_of_all_sizes_over_tls():
    for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        connection = connect(context(newest=newest))
        channel = connection.channel()
        channel.confirm_delivery()
        queue = unique("tls")
        channel.queue_declare(queue, exclusive=True)
        sizes = (0, 1, 16_384, 131_072, 3_000_000)
        for size in sizes:
            channel.basic_publish("", queue, b"x" * size)
        for size in sizes:
            equal(len(channel.basic_get(queue, auto_ack=True)[2]), size, "octets")
        connection.close()


def a_certificate_logs_in():
    connection = connect(context("client"), ExternalCredentials())
    equal(connection.is_open, True, "open")
    connection.close()


def a_certificate_of_nobody_does_not():
    contains(fails(context("server"), ExternalCredentials()), "ACCESS_REFUSED")


def without_a_certificate_there_is_no_external():
    contains(fails(context(), ExternalCredentials()), "AuthenticationError")


def a_certificate_of_another_issuer_is_refused():
    fails(context("stranger"))


def old_versions_are_refused():
    wanted = context()
    wanted.set_ciphers("ALL:@SECLEVEL=0")
    wanted.minimum_version = ssl.TLSVersion.TLSv1
    wanted.maximum_version = ssl.TLSVersion.TLSv1_1
    fails(wanted)


if PORT:
    for function in (
        messages_of_all_sizes_over_tls,
        a_certificate_logs_in,
        a_certificate_of_nobody_does_not,
        without_a_certificate_there_is_no_external,
        a_certificate_of_another_issuer_is_refused,
        old_versions_are_refused,
    ):
        check(function)
