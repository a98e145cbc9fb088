from .gradcheck.rtrl import *
